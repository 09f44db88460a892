#include "bench/recovery_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_size);
    return values[n / 2];
}

/* ---- checkpoints --------------------------------------------------------------------------- */

void recovery_say_state(const struct recovery_report *report)
{
    printf("state        %" PRIu64 " entities, %" PRIu64 " events in their windows\n",
           report->entities, report->rows);
}

void recovery_say_whole(const struct recovery_report *report)
{
    double n = (double)report->entities;
    printf("memory       %.0f bytes an entity; in Redis %.0f\n", (double)report->state_bytes / n,
           (double)(report->redis_after - report->redis_before) / n);
    printf("whole        written in %.1f s; longest stall of the engine %.1f ms (floor 5; %.1f by "
           "the wall clock)\n",
           report->whole_s, report->whole.cpu_ms, report->whole.wall_ms);
    printf("             the process held %.0f MB before, %.0f at most while it was written\n",
           (double)report->memory_before / 1e6, (double)report->memory_peak / 1e6);
}

void recovery_say_phases(struct recovery_report *report)
{
    double without_ns = median(report->without_ns, RECOVERY_PHASES);
    double with_ns = median(report->with_ns, RECOVERY_PHASES);
    printf("incremental  %.0f dirty entities/s; longest stall %.1f ms (floor 5; %.1f by the wall "
           "clock)\n",
           report->dirty_per_s, report->incremental.cpu_ms, report->incremental.wall_ms);
    printf("             it %s, with %" PRIu64
           " first touches of pages; a loop beside each step that "
           "touches no memory took %.1f ms at most, %.2f as a rule\n",
           report->incremental.begins ? "began a cut" : "was a later step of a cut",
           report->incremental.faults, report->incremental.check_ms, report->check_ms);
    printf("             longest batch of %d events %.1f ms with checkpoints, %.1f without\n",
           (int)RECOVERY_BATCH, report->with_ms, report->without_ms);
    printf("             %.2f bytes sent a dirty byte (%.0f bytes a dirty entity)\n",
           (double)report->sent_bytes / (double)report->dirty_bytes,
           (double)report->dirty_bytes / (double)report->n_dirty);
    printf("throughput   %.0f ns an event with checkpoints, %.0f without: ratio %.2f (floor 0.90; "
           "%.2f by the wall clock)\n",
           with_ns, without_ns, median(report->ratio, RECOVERY_PHASES),
           median(report->wall_ratio, RECOVERY_PHASES));
    printf("             %.2f us of the engine's thread a dirty entity, %.2f in the cut's steps: "
           "ratio %.2f when it has a processor for itself\n",
           report->dirty_cpu_us, report->steps_cpu_us,
           1 - RECOVERY_DIRTY_PER_S * report->dirty_cpu_us / 1e6);
}

/* ---- restores ------------------------------------------------------------------------------- */

/* What is measured of each. */
struct measures {
    double ours_s, ours_cpu_s, ours_redis_s;
    double plain_s, plain_cpu_s, plain_redis_s;
    double touch_ns;
};

static struct measures measures_of(const struct recovery_restored *restored)
{
    const struct recovery_plain *plain = &restored->plain;
    double ours = (double)restored->records;
    double other = (double)plain->records;
    return (struct measures){
        .ours_s = restored->load_s / ours,
        .ours_cpu_s = restored->cpu_s / ours,
        .ours_redis_s = restored->redis_cpu_s / ours,
        .plain_s = plain->seconds / other,
        .plain_cpu_s = plain->cpu_s / other,
        .plain_redis_s = restored->plain_redis_cpu_s / other,
        .touch_ns = restored->touch_ns,
    };
}

/* Field by field. */
static struct measures median_of(const struct recovery_restored *restored, int n)
{
    enum { FIELDS = sizeof(struct measures) / sizeof(double) };
    union {
        struct measures named;
        double fields[FIELDS];
    } one, all;
    for (int f = 0; f < FIELDS; f++) {
        double values[RECOVERY_RESTORES_MAX];
        for (int i = 0; i < n; i++) {
            one.named = measures_of(&restored[i]);
            values[i] = one.fields[f];
        }
        all.fields[f] = median(values, n);
    }
    return all.named;
}

static void say_rates(const struct measures *m, const char *floor)
{
    printf("             %.0f records/s; plain pipelined read %.0f records/s: ratio %.2f%s\n",
           1 / m->ours_s, 1 / m->plain_s, m->plain_s / m->ours_s, floor);
    printf(
        "             %.2f us of processors a record, Redis's own %.2f; plain read %.2f, Redis's "
        "%.2f\n",
        m->ours_cpu_s * 1e6, m->ours_redis_s * 1e6, m->plain_cpu_s * 1e6, m->plain_redis_s * 1e6);
}

/* A byte's first touch, and what that is of a restore. */
static void say_touch(const struct recovery_report *report, const struct measures *m,
                      const char *what)
{
    double bytes = (double)report->last_bytes / (double)report->entities;
    printf("             the first touch of memory takes %.2f ns a byte, %.2f us an entity: %s\n",
           m->touch_ns, m->touch_ns * bytes / 1e3, what);
}

void recovery_say_restore(const struct recovery_restored *restored)
{
    struct measures m = measures_of(restored);
    printf(
        "one restore  %.0f records/s; plain pipelined read %.0f (%.0f MB/s): ratio %.2f; %.2f us "
        "of processors a record, plain read %.2f; %.2f ns a byte touched\n",
        1 / m.ours_s, 1 / m.plain_s, (double)restored->plain.bytes / restored->plain.seconds / 1e6,
        m.plain_s / m.ours_s, m.ours_cpu_s * 1e6, m.plain_cpu_s * 1e6, m.touch_ns);
}

void recovery_say_restores(const struct recovery_report *report, int n)
{
    struct measures m = median_of(report->restored, n);
    printf("restore, machine's memory in use before: median of %d; %.0f bytes a record in Redis, "
           "%.0f in memory\n",
           n, (double)report->restored->plain.bytes / (double)report->restored->plain.records,
           (double)report->last_bytes / (double)report->entities);
    say_rates(&m, " (floor 0.70)");
    say_touch(report, &m, "the kernel clears it, and that is in the figures");
}

void recovery_say_fresh(const struct recovery_report *report)
{
    struct measures m = measures_of(&report->fresh);
    double usual_ns = report->restored[0].touch_ns;
    printf("restore, memory fresh from the host\n");
    say_rates(&m, " (no floor)");
    say_touch(report, &m,
              m.touch_ns > 3 * usual_ns
                  ? "the host of this virtual machine finds it first, as it does once for what "
                    "nobody used; that is its time, not the restore's"
                  : "no more than memory in use before, so that there is no such host here, or it "
                    "had not taken the memory back");
}
