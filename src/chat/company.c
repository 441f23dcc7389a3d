#include "chat/company.h"

unsigned company_stats(struct str text)
{
    (void)text;
    return 0;
}

const char *company_stats_name(unsigned bits)
{
    (void)bits;
    return NULL;
}

const struct company *company_detect(struct str text)
{
    (void)text;
    return NULL;
}

const struct company *company_find(struct str name)
{
    (void)name;
    return NULL;
}

const char *company_name(const struct company *company)
{
    (void)company;
    return "";
}

const char *company_persona(const struct company *company)
{
    (void)company;
    return NULL;
}

const struct company_preset *company_presets(size_t *n)
{
    (void)n;
    return (*n = 0, NULL);
}
