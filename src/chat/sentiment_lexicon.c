/* Words and phrases of customers, with what they say about how the customer feels. Written by hand for this project,
 * from no other list, in rounds: the everyday words for pleasure and displeasure, the ways in which customers tell what
 * went wrong, what makes a matter urgent, and phrases that mean something else than their words; after each round it
 * was measured on messages that it had not seen (tests/unit/chat/sentiment_set.h). Feelings and urgency in tenths: 10 a
 * hint, 20 plain, 30 strong. A DEGREE has a factor in hundredths. Each table is sorted by bytes; '#' stands for a
 * number, in digits or words. */
#include "chat/sentiment_impl.h"

const struct sentiment_table *const sentiment_tables[SENTIMENT_TABLES] = {&sentiment_good, &sentiment_bad,
                                                                          &sentiment_urgent, &sentiment_plain};
