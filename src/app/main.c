/* parley: sub-commands and what they share. */
#include "app/check.h"
#include "app/import.h"
#include "app/role.h"
#include "app/serve.h"
#include "base/mem.h"
#include "speech/media.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const own_flags[] = {"--help", "-h", "--version", "--markdown", NULL};

static void print(struct buf *out)
{
    fwrite(buf_str(out).p, 1, out->len, stdout);
    buf_free(out);
}

static int help(void)
{
    struct buf out = BUF_INIT(MIB(1));
    buf_lit(&out, "Usage: parley [serve] [OPTION...]   start the server\n"
                  "       parley check [OPTION...]     validate the configuration, print it, test store and upstream\n"
                  "       parley import mongo [--from URI] [OPTION...]  bring over customer care's old database\n"
                  "       parley role EMAIL admin|user [OPTION...]      change what a user may do\n"
                  "       parley version               print the version\n"
                  "       parley --help                print this text\n\n"
                  "One server for real-time AI conversations: OpenAI-style SSE, plain WebSocket and REST, on embedded\n"
                  "defaults that need no key, account or other server.\n\n");
    config_help(&out);
    print(&out);
    return 0;
}

static int version(void)
{
    puts("parley " PARLEY_VERSION);
    return 0;
}

static bool asks(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

static struct config *load(const struct config_source *source)
{
    struct buf problems = BUF_INIT(KIB(256));
    struct err e;
    struct config *cfg = config_load(source, &problems, &e);
    if (!cfg)
        fprintf(stderr, "parley: %s%s\n", problems.len ? buf_cstr(&problems) : e.text,
                "\nTry 'parley --help' for all settings.");
    buf_free(&problems);
    return cfg;
}

static int import(int argc, char **argv)
{
    const char *from;
    int n = argc > 2 && strcmp(argv[2], "mongo") == 0 ? import_options(argc - 3, argv + 3, &from) : -1;
    if (n < 0) {
        fputs("parley: import mongo [--from URI] [OPTION...]\nTry 'parley --help'.\n", stderr);
        return 2;
    }
    struct config_source source = {.argc = n, .argv = argv + 3, .envp = environ, .own_flags = own_flags};
    struct config *cfg = load(&source);
    return cfg ? import_mongo(cfg, from) : 2;
}

static int role(int argc, char **argv)
{
    if (argc < 4 || argv[2][0] == '-' || !role_is(argv[3])) {
        fputs("parley: role EMAIL admin|user [OPTION...]\nTry 'parley --help'.\n", stderr);
        return 2;
    }
    struct config_source source = {.argc = argc - 4, .argv = argv + 4, .envp = environ, .own_flags = own_flags};
    struct config *cfg = load(&source);
    return cfg ? role_set(cfg, argv[2], argv[3]) : 2;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 && argv[1][0] != '-' ? argv[1] : "serve";
    if (strcmp(command, "media") == 0) /* started by the server itself */
        return media_worker(MEDIA_WORKER_FD);
    int used = argc > 1 && argv[1][0] != '-' ? 2 : 1;
    if (asks(argc, argv, "--help") || asks(argc, argv, "-h") || strcmp(command, "help") == 0)
        return help();
    if (asks(argc, argv, "--version") || strcmp(command, "version") == 0)
        return version();
    if (strcmp(command, "import") == 0)
        return import(argc, argv);
    if (strcmp(command, "role") == 0)
        return role(argc, argv);
    bool checks = strcmp(command, "check") == 0;
    if (!checks && strcmp(command, "serve") != 0) {
        fprintf(stderr, "parley: unknown command '%s'\nTry 'parley --help'.\n", command);
        return 2;
    }
    if (checks && asks(argc, argv, "--markdown"))
        return check_markdown();
    struct config_source source = {.argc = argc - used, .argv = argv + used, .envp = environ, .own_flags = own_flags};
    struct config *cfg = load(&source);
    if (!cfg)
        return 2;
    return checks ? check(cfg) : serve(cfg, &source);
}
