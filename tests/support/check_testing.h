// SPDX-License-Identifier: MIT
// Two checks of one gallery, compared.
#pragma once

#include "core/gallery/gallery_check.h"

#include <gtest/gtest.h>

namespace sphere::testing {

/// All numbers of a check; not its findings.
inline void expect_same_numbers(const GalleryCheck &check, const GalleryCheck &expected) {
    EXPECT_EQ(check.probes, expected.probes);
    EXPECT_EQ(check.strangers, expected.strangers);
    EXPECT_EQ(check.strangers_named, expected.strangers_named);
    EXPECT_EQ(check.returning, expected.returning);
    EXPECT_EQ(check.returning_named, expected.returning_named);
    EXPECT_EQ(check.unsafe, expected.unsafe);
    ASSERT_TRUE(check.suggested_threshold.has_value());
    EXPECT_NEAR(*check.suggested_threshold, *expected.suggested_threshold, 1e-5);
    EXPECT_EQ(check.returning_named_suggested, expected.returning_named_suggested);
}

} // namespace sphere::testing
