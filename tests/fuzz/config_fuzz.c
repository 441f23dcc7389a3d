/* Every source of settings with text a stranger may have written. The first byte picks the source; for arguments and
 * the environment each line is one entry. */
#include "config/draft.h"

#include <stdlib.h>

#define ENTRIES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t split_lines(struct arena *a, struct str text, char **entries)
{
    struct str line;
    size_t n = 0;
    while (n < ENTRIES_MAX && str_split(&text, '\n', &line))
        entries[n++] = arena_cstr(a, line);
    entries[n] = NULL;
    return n;
}

static void read_source(struct draft *d, struct arena *a, char source, struct str text)
{
    char *entries[ENTRIES_MAX + 1];
    if (source == 'a') {
        int argc = (int)split_lines(a, text, entries);
        read_args(d, argc, entries, NULL);
    } else if (source == 'e') {
        split_lines(a, text, entries);
        read_environment(d, entries);
    } else if (source == 'd') {
        read_dotenv(d, text, ".env");
    } else {
        read_json(d, text, "file");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct draft d;
    struct arena *a = arena_new("fuzz");
    struct buf printed = BUF_INIT(KIB(512));
    if (!size)
        goto done;
    draft_init(&d);
    read_source(&d, a, (char)data[0], str_n(data + 1, size - 1));
    struct config *cfg = draft_finish(&d);
    if (!cfg != (d.errors.len > 0))
        abort(); /* refused without a reason, or taken in spite of one */
    if (cfg && (cfg->port_list.count == 0 || !cfg->aimcs_model || !cfg->openai_base_url))
        abort();
    if (cfg)
        config_print(&printed, cfg);
    config_free(cfg);
    draft_free(&d);
done:
    buf_free(&printed);
    arena_free(a);
    return 0;
}
