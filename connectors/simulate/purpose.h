/* Purposes: what a set of dice is for. Numbers are never reused or renumbered: they
 * are part of what a seed means.
 */
#ifndef TSN_CONNECTORS_SIMULATE_PURPOSE_H
#define TSN_CONNECTORS_SIMULATE_PURPOSE_H

enum tsn_purpose {
    TSN_PURPOSE_LINE = 1,
    TSN_PURPOSE_CONTACT = 2,
    TSN_PURPOSE_ABROAD = 3,
    TSN_PURPOSE_ACCOUNT = 4,
    TSN_PURPOSE_CALLS = 5,
    TSN_PURPOSE_MESSAGES = 6,
    TSN_PURPOSE_MONEY = 7,
    TSN_PURPOSE_FAMILY = 8,
    TSN_PURPOSE_LIFECYCLE = 9,
    TSN_PURPOSE_CAMPAIGN = 10,
    TSN_PURPOSE_VICTIM = 11,
    TSN_PURPOSE_MULE = 12,
    TSN_PURPOSE_DIRT = 13,
    TSN_PURPOSE_HISTORY = 14,
};

#endif
