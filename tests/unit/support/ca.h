/* A certificate authority of a test's own, and the certificates it issues, as PEM files. */
#ifndef TEST_CA_H
#define TEST_CA_H

#include "unit/support/unit.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

struct ca {
    X509 *certificate;
    EVP_PKEY *key;
};

static inline void ca_extension(X509 *subject, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, subject, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    X509_add_ext(subject, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Valid from and until so many seconds from now; issuer NULL: its own. */
static inline X509 *ca_certificate(EVP_PKEY *key, const char *name, long from, long until, X509 *issuer)
{
    static long serial = 1;
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), from);
    X509_gmtime_adj(X509_getm_notAfter(x), until);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
    X509_set_pubkey(x, key);
    return x;
}

static inline void ca_write(X509 *certificate, EVP_PKEY *key, const char *certificate_file, const char *key_file)
{
    FILE *f = fopen(certificate_file, "w");
    assert_non_null(f);
    PEM_write_X509(f, certificate);
    fclose(f);
    if (!key_file)
        return;
    f = fopen(key_file, "w");
    assert_non_null(f);
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static inline void ca_make(struct ca *ca, const char *file)
{
    ca->key = EVP_EC_gen("P-256");
    ca->certificate = ca_certificate(ca->key, "test authority", -3600, 3600, NULL);
    ca_extension(ca->certificate, ca->certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(ca->certificate, ca->key, EVP_sha256()) > 0);
    ca_write(ca->certificate, NULL, file, NULL);
}

static inline void ca_free(struct ca *ca)
{
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
}

/* names: "DNS:localhost,IP:127.0.0.1"; valid until so many seconds from now. */
static inline void ca_issue(struct ca *ca, const char *certificate_file, const char *key_file, const char *names,
                            long until)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = ca_certificate(key, "test server", -7200, until, ca->certificate);
    ca_extension(x, ca->certificate, NID_subject_alt_name, names);
    assert_true(X509_sign(x, ca->key, EVP_sha256()) > 0);
    ca_write(x, key, certificate_file, key_file);
    X509_free(x);
    EVP_PKEY_free(key);
}

#endif
