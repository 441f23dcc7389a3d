/* What clients are told when speech fails: own words, never those of a service. */
#ifndef CHAT_VOICE_FAILURE_IMPL_H
#define CHAT_VOICE_FAILURE_IMPL_H

#include "base/err.h"

enum voice_work { VOICE_RECOGNITION, VOICE_SYNTHESIS };

/* *e: the cause as it may be told. `cause` may be e. Returns -1. */
int voice_failure(struct err *e, enum voice_work work, const struct err *cause);

#endif
