/* The seven functions that the prebuilt MongoDB engine of the tests wants from glibc 2.38, for systems with an older
 * one, which has all of them under their former names. Loaded before the others (LD_PRELOAD), by that process alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

double fmod(double x, double y);
long __isoc23_strtol(const char *text, char **end, int base);
long long __isoc23_strtoll(const char *text, char **end, int base);
unsigned long __isoc23_strtoul(const char *text, char **end, int base);
unsigned long long __isoc23_strtoull(const char *text, char **end, int base);
int __isoc23_sscanf(const char *text, const char *format, ...);
int __isoc23_fscanf(FILE *file, const char *format, ...);

static double (*former_fmod)(double x, double y);

__attribute__((constructor)) static void find_fmod(void)
{
    static const char *const versions[] = {"GLIBC_2.2.5", "GLIBC_2.17"};
    for (unsigned i = 0; i < 2 && !former_fmod; i++)
        *(void **)&former_fmod = dlvsym(RTLD_NEXT, "fmod", versions[i]);
}

double fmod(double x, double y)
{
    return former_fmod(x, y);
}

long __isoc23_strtol(const char *text, char **end, int base)
{
    return strtol(text, end, base);
}

long long __isoc23_strtoll(const char *text, char **end, int base)
{
    return strtoll(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
    return strtoul(text, end, base);
}

unsigned long long __isoc23_strtoull(const char *text, char **end, int base)
{
    return strtoull(text, end, base);
}

int __isoc23_sscanf(const char *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsscanf(text, format, args);
    va_end(args);
    return n;
}

int __isoc23_fscanf(FILE *file, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vfscanf(file, format, args);
    va_end(args);
    return n;
}
