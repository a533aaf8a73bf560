// SPDX-License-Identifier: MIT
// `bearerd version`: what runs here, for bug reports.
#include <stdio.h>

#include "cli/command.h"
#include "http/multi.h"
#include "http/server.h"

int cli_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("bearerd %s\nlibmicrohttpd %s\nlibcurl %s\n", BEARERD_VERSION, server_library_version(),
           multi_library_version());
    return EXIT_DONE;
}
