/* The optional members of agents, as agent.c and agent_read.c share them. Private to chat/. */
#ifndef CHAT_AGENT_IMPL_H
#define CHAT_AGENT_IMPL_H

#include "chat/agent.h"

#include "base/limits.h"

#define AGENT_VOICE       128 /* bytes of a voice's name */
#define AGENT_TOKENS      4096
#define AGENT_TEMPERATURE 2.0

enum agent_option {
    AGENT_OPTION_PROMPT,
    AGENT_OPTION_STYLE,
    AGENT_OPTION_TOKENS,
    AGENT_OPTION_TEMPERATURE,
    AGENT_OPTION_VOICE,
    AGENT_OPTION_AVATAR,
    AGENT_OPTIONS
};
/* The option's name in JSON. */
const char *agent_option_name(enum agent_option option);
/* Whether it is one of the four. */
bool agent_is_style(struct str style);

#endif
