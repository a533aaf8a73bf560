// SPDX-License-Identifier: MIT
// What the models of web servers (server_models.h) make of paths: one path a line in, for each a
// line of `name`, a tab and the reading (empty: refused) for each model of a real server, then an
// empty line. For test_path_confusion.py, which compares them with the servers.
#include <stdio.h>

#include "server_models.h"

int main(void)
{
    char line[MODEL_PATH_MAX];
    while (fgets(line, sizeof line, stdin)) {
        size_t len = strcspn(line, "\n");
        for (size_t i = 0; i < sizeof models / sizeof *models && models[i].name; i++) {
            struct model_path path = {.len = len};
            memcpy(path.bytes, line, len);
            bool is_read = models[i].reads(&path);
            printf("%s\t%.*s\n", models[i].name, is_read ? (int)path.len : 0, path.bytes);
        }
        putchar('\n');
    }
    return 0;
}
