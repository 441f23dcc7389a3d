/* Simple arithmetic inside a sentence. Pure. */
#ifndef LLM_DEMO_SUM_H
#define LLM_DEMO_SUM_H

#include "base/str.h"

/* Finds the first run of numbers, + - * x / ^ % ( ) with at least one operator in the text, and works it out (usual
 * precedence). True with its slice and value; false when there is none or it makes no sense (division by zero,
 * unbalanced, out of range). */
bool sum_find(struct str text, struct str *expression, double *value);

#endif
