/* Feeds a fuzz target every file of a folder, and every prefix of the small ones: what the fuzzer once found stays
 * fixed, and truncated input is covered in every build. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIXES_UP_TO 512 /* bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly n bytes, so that the sanitizer sees one byte too many. */
static void feed(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        abort();
    if (n)
        memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static int replay(const char *path)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &info) < 0) {
        perror(path);
        exit(1);
    }
    if (!S_ISREG(info.st_mode)) {
        fclose(file);
        return 0;
    }
    size_t n = (size_t)info.st_size;
    uint8_t *data = malloc(n ? n : 1);
    if (!data || fread(data, 1, n, file) != n) {
        perror(path);
        exit(1);
    }
    fclose(file);
    for (size_t cut = 0; n <= PREFIXES_UP_TO && cut < n; cut++)
        feed(data, cut);
    feed(data, n);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    int fed = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(folder));) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            fed += replay(path);
        }
        closedir(folder);
    }
    printf("%d files\n", fed);
    return fed ? 0 : 1; /* an empty corpus proves nothing */
}
