# Debian 12 packages only; what each is for: docs/DEPENDENCIES.md
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.88)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson>=1.7.15)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(JWT REQUIRED IMPORTED_TARGET libjwt)
# Loaded at first use (src/speech/media_libav.h): only their headers are needed here.
pkg_check_modules(LIBAV REQUIRED libavformat>=59.27 libavcodec>=59.37 libswresample>=4.7 libavutil>=57.28)
# Likewise (src/speech/clean.c, src/speech/local/).
pkg_check_modules(SPEEXDSP REQUIRED speexdsp)
pkg_check_modules(MONGOC REQUIRED libmongoc-1.0>=1.23)
pkg_check_modules(SPHINX REQUIRED pocketsphinx sphinxbase)
find_path(FLITE_INCLUDE_DIR NAMES flite/flite.h REQUIRED)
if(PARLEY_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
# Boost.Context ships no pkg-config file; only its three C entry points are used, so the static archive adds under 2 KiB.
find_library(BOOST_CONTEXT NAMES libboost_context.a REQUIRED)
