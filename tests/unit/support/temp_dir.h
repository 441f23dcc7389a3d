/* A directory of a test's own, removed with what is in it (files only). */
#ifndef TEST_SUPPORT_TEMP_DIR_H
#define TEST_SUPPORT_TEMP_DIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEMP_DIR_MAX 64

static inline void temp_dir_make(char dir[TEMP_DIR_MAX])
{
    snprintf(dir, TEMP_DIR_MAX, "/tmp/parley-test-XXXXXX");
    if (!mkdtemp(dir))
        abort();
}

static inline void temp_dir_remove(const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

#endif
