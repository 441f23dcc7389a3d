/* What an operator must or should know before the server is reached by strangers (contract, section 5). */
#include "config/config.h"

#include "config/setting.h"

#define API_TOKEN_SHORT 16

static void add(struct buf *out, const char *line)
{
    buf_addf(out, "%s\n", line);
}

static void put_closed(struct buf *out, const struct config *cfg)
{
    const char *choices = setting_find(STR("OPEN_DIALECTS"), NULL)->choices;
    const char *comma = "";
    struct str choice;
    for (size_t i = 0; (choice = setting_choice(choices, i)).p; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (bit == DIALECT_CARE || (cfg->open_dialects & bit))
            continue;
        buf_addf(out, "%s%.*s", comma, STR_ARG(choice));
        comma = ", ";
    }
    if (*comma)
        add(out, ": closed to clients without a user's token; set API_TOKEN, or name them in OPEN_DIALECTS");
}

static void check_token(const struct config *cfg, struct buf *errors, struct buf *warnings)
{
    struct str token = str_c(cfg->api_token);
    if (!token.n) {
        put_closed(warnings, cfg);
        if (cfg->metrics && !cfg->metrics_open)
            add(warnings, "METRICS: closed to everyone; set API_TOKEN, or METRICS_OPEN=true");
        return;
    }
    if (str_ieq(token, STR("your_secure_token_here")))
        add(errors, "API_TOKEN: is the sample value of the documents; make one with: openssl rand -hex 32");
    else if (token.n < API_TOKEN_SHORT)
        add(warnings, "API_TOKEN: shorter than 16 bytes; make one with: openssl rand -hex 32");
}

static void check_exposure(const struct config *cfg, struct buf *warnings)
{
    if (config_origin(cfg, "HOST") == ORIGIN_DEFAULT)
        add(warnings, "HOST: not set, so the server is reached from this machine only; set 0.0.0.0 to be reached from "
                      "others");
    else if (!address_is_loopback(str_c(cfg->host)) && !cfg->tls_cert && !cfg->trust_proxy.hops &&
             !cfg->trust_proxy.count)
        add(warnings, "TLS_CERT: not set and no TRUST_PROXY: tokens and messages travel unencrypted");
    if (cfg->open_dialects & (DIALECT_AIMCS | DIALECT_OPENAI | DIALECT_CHAT | DIALECT_PICHAT))
        add(warnings, "OPEN_DIALECTS: whoever reaches the server may use the models at your cost");
    if (cfg->open_dialects & DIALECT_CARE)
        add(warnings, "OPEN_DIALECTS: care lets a Socket.IO client speak as any user whose id it knows");
    if (cfg->cors_any)
        add(warnings, "CORS_ORIGINS: * lets every web page use the server from its visitors' browsers");
    if (!cfg->rate_limit_max_requests)
        add(warnings, "RATE_LIMIT_MAX_REQUESTS: off");
    if (!cfg->rate_limit_login_max)
        add(warnings, "RATE_LIMIT_LOGIN_MAX: off, passwords may be guessed at any speed");
}

int config_production_check(const struct config *cfg, const char *(*jwt_secret_problem)(struct str secret),
                            struct buf *errors, struct buf *warnings)
{
    size_t before = errors->len;
    if (!cfg->production) {
        if (!address_is_loopback(str_c(cfg->host)))
            add(warnings, "HOST: reached from other machines while ENVIRONMENT is not production: the dialects without "
                          "accounts are open to all of them");
        return 0;
    }
    const char *problem = jwt_secret_problem(str_c(cfg->jwt_secret));
    if (problem)
        buf_addf(errors, "JWT_SECRET: %s; make one with: openssl rand -base64 48\n", problem);
    if (cfg->conformance)
        add(errors, "CONFORMANCE: echoes to anybody; it is for tests only");
    check_token(cfg, errors, warnings);
    check_exposure(cfg, warnings);
    return errors->len > before ? -1 : 0;
}
