// SPDX-License-Identifier: MIT
// See slots_extra.h. Names and circles were checked when the configuration was loaded; here they
// are only followed.
#include "config/slots_extra.h"

#include <string.h>

#include "config/catalogue.h"
#include "config/item.h"
#include "config/slots.h"

static bool is_same(const struct config_slot *a, const char *identity)
{
    char *other = config_slot_identity(a);
    bool is_equal = strcmp(other, identity) == 0;
    mem_free(other);
    return is_equal;
}

static const struct config_slot *slot_find(const struct config *config,
                                           const struct config_slot *slot)
{
    char *identity = config_slot_identity(slot);
    const struct config_slot *found = NULL;
    for (size_t i = 0; !found && i < config->slot_count; i++)
        if (is_same(config->slots[i], identity))
            found = config->slots[i];
    mem_free(identity);
    return found;
}

static bool scopes_check(const struct config_credential *credential,
                         const struct config_strings *scopes, struct err *err)
{
    if (!config_slot_is_scoped(credential))
        return err_set(err, "tokens of [credential %s] have no scopes", credential->name);
    for (size_t i = 0; i < scopes->count; i++) {
        char *scope = item_scope(str_of(scopes->items[i]), err);
        if (!scope)
            return false;
        mem_free(scope);
        if (!catalogue_has(credential, scopes->items[i], err))
            return false;
    }
    return true;
}

static const struct config_credential *authoriser_of(const struct config *config,
                                                     const struct config_credential *credential)
{
    const char *name = credential->source == SOURCE_LOGIN ? credential->login.credential : NULL;
    for (size_t i = 0; name && i < config->credential_count; i++)
        if (strcmp(config->credentials[i]->name, name) == 0)
            return config->credentials[i];
    return NULL;
}

const struct config_slot *slots_extra_get(struct config *config,
                                          const struct config_credential *credential,
                                          const struct config_strings *scopes, struct err *err)
{
    const struct config_credential *authoriser = authoriser_of(config, credential);
    const struct config_slot *before = NULL;
    if (scopes && !scopes_check(credential, scopes, err))
        return NULL;
    if (authoriser && !(before = slots_extra_get(config, authoriser, NULL, err)))
        return NULL;
    struct config_slot *slot = config_slot_new(NULL, credential);
    if (scopes) {
        mem_free(slot->scope);
        slot->scope = config_slot_scope(credential, scopes, NULL);
    }
    const struct config_slot *known = slot_find(config, slot);
    if (known) {
        config_slot_free(slot);
        return known;
    }
    slot->authoriser = before;
    slot->index = config->slot_count++;
    config->slots = mem_realloc(config->slots, config->slot_count * sizeof(void *));
    config->slots[slot->index] = slot;
    return slot;
}
