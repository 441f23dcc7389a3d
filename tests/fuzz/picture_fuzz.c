/* Pictures: what is taken for one is within the limits, what is kept of it is the same picture, is not longer, and
 * loses nothing more when it is read again. */
#include "fuzz.h"

#include "base/limits.h"
#include "wire/picture.h"

static void check_again(const struct picture *first, struct str kept)
{
    struct picture again;
    struct buf twice = BUF_INIT(SIZE_MAX / 2);
    CHECK(picture_read(kept, &again, &twice, NULL) == 0);
    CHECK(again.type == first->type && again.width == first->width && again.height == first->height &&
          again.frames == first->frames);
    CHECK(str_eq(buf_str(&twice), kept));
    buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    struct picture picture;
    struct buf kept = BUF_INIT(SIZE_MAX / 2);
    struct str rest = str_n(data, size), bytes = fuzz_piece(&rest, size);
    if (picture_read(bytes, &picture, &kept, &e) < 0) {
        CHECK(e.code == ERR_INVALID_REQUEST);
    } else {
        CHECK(picture.type == picture_type_of(bytes) && picture.frames >= 1 && picture.frames <= LIMIT_PICTURE_FRAMES);
        CHECK(picture.width >= 1 && picture.width <= LIMIT_PICTURE_SIDE);
        CHECK(picture.height >= 1 && picture.height <= LIMIT_PICTURE_SIDE);
        CHECK(kept.len <= size + PICTURE_GROWTH);
        check_again(&picture, buf_str(&kept));
    }
    buf_free(&kept);
    fuzz_piece_free(bytes);
    return 0;
}
