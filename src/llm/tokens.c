#include "llm/tokens.h"

size_t tokens_estimate(struct str text)
{
    size_t quarters = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x80)
            quarters += 1;
        else if (c >= 0xf0)
            quarters += 8;
        else if (c >= 0xe0)
            quarters += 4;
        else if (c >= 0xc0)
            quarters += 2;
    }
    return quarters ? (quarters + 3) / 4 : (text.n + 3) / 4;
}
