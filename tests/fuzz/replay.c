// SPDX-License-Identifier: MIT
// Stand-in for libFuzzer's main: feeds every file of the folders named on the command line to the
// fuzz target once, so that each corpus is also a regression test. Fails if it found no file.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned run_count;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return;
    size_t cap = 1 << 20;
    uint8_t *data = malloc(cap);
    size_t len = data ? fread(data, 1, cap, file) : 0;
    fclose(file);
    // An exact-size copy lets AddressSanitizer see a read one byte past the end.
    uint8_t *exact = malloc(len ? len : 1);
    for (size_t i = 0; exact && i < len; i++)
        exact[i] = data[i];
    LLVMFuzzerTestOneInput(exact, len);
    run_count++;
    free(exact);
    free(data);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            run_file(argv[i]);
            continue;
        }
        const struct dirent *entry;
        while ((entry = readdir(dir))) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            run_file(path);
        }
        closedir(dir);
    }
    printf("%u inputs replayed\n", run_count);
    return run_count ? 0 : 1;
}
