// SPDX-License-Identifier: MIT
// What a reload leaves as it is, though the file says otherwise: the settings of the process as a
// whole that the table marks so. All others are changed, as with other servers: better most of what
// was asked for than nothing, as long as the rest is named.
#include <string.h>

#include "config/config.h"
#include "config/settings.h"

static bool keep_number(uint64_t *value, uint64_t running)
{
    bool is_other = *value != running;
    *value = running;
    return is_other;
}

static bool keep_text(char **value, const char *running)
{
    bool is_other = *value && running ? strcmp(*value, running) != 0 : *value != running;
    mem_free(*value);
    *value = mem_strdup(running);
    return is_other;
}

static bool keep_setting(const struct setting *setting, struct config *config,
                         const struct config *running)
{
    void *value = (char *)config + setting->offset;
    const void *before = (const char *)running + setting->offset;
    bool is_text = setting->type == SETTING_TEXT || setting->type == SETTING_PATH;
    return is_text ? keep_text(value, *(char *const *)before)
                   : keep_number(value, *(const uint64_t *)before);
}

void config_keep(struct config *config, const struct config *running)
{
    for (unsigned kind = 0; kind < SECTION_KINDS; kind++) {
        size_t count;
        const struct setting *rows = settings_of((enum section_kind)kind, &count);
        for (size_t i = 0; !section_infos[kind].is_named && i < count; i++)
            if ((rows[i].flags & SETTING_RESTART) && keep_setting(&rows[i], config, running))
                config_faults_add(&config->warnings, (struct config_place){config->path, 0},
                                  "[%s] %s: the change takes effect with a restart",
                                  section_infos[kind].name, rows[i].key);
    }
}
