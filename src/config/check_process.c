// SPDX-License-Identifier: MIT
// Checks of what the process as a whole is to be: the user it becomes.
#include "base/rights.h"
#include "config/check.h"

void check_process(struct draft *draft, const struct draft_section *section)
{
    const struct config *config = section->object;
    struct rights_user user;
    struct err err;
    if (config->group && !config->user)
        draft_fault(draft, section, draft_place(section, "group", 0), "group",
                    "has no effect without user");
    if (!config->user)
        return;
    if (!rights_user_find(config->user, config->group, &user, &err))
        draft_fault(draft, section, draft_place(section, "user", 0), "user", "%s", err.text);
    rights_user_fini(&user);
}
