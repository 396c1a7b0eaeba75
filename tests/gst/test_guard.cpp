// SPDX-License-Identifier: MIT
// Every Errc becomes one element error with a text; exceptions stop at the border.
#include "gst/base/guard.h"
#include "tests/gst/element_support.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

GST_DEBUG_CATEGORY(gst_sphere_debug);

namespace {

using sphere::Errc;

constexpr Errc kCodes[] = {
    Errc::InvalidArgument, Errc::NotFound, Errc::Permission, Errc::Corrupt, Errc::Unsupported,
    Errc::Mismatch,        Errc::Busy,     Errc::NoSpace,    Errc::Io,      Errc::Engine,
    Errc::Internal};

class Guard : public testing::Test {
  protected:
    Guard() {
        GST_DEBUG_CATEGORY_INIT(gst_sphere_debug, "sphere", 0, "face recognition");
        GstElement *identity = gst_element_factory_make("identity", nullptr);
        gst_object_ref_sink(identity);
        element = std::make_unique<sphere_test::ElementOnBus>(identity);
    }
    std::unique_ptr<sphere_test::ElementOnBus> element;
};

TEST_F(Guard, EveryCodeHasADomainAndIsPostedOnceWithItsText) {
    const std::set<GQuark> domains{GST_CORE_ERROR, GST_LIBRARY_ERROR, GST_RESOURCE_ERROR,
                                   GST_STREAM_ERROR};
    for (const Errc code : kCodes) {
        const auto mapped = sphere::gst::gst_error_code(code);
        EXPECT_EQ(domains.count(mapped.domain), 1U);
        EXPECT_GT(mapped.code, 0);
        gchar *standard = gst_error_get_message(mapped.domain, mapped.code);
        EXPECT_NE(standard, nullptr) << "GStreamer does not know this code";
        g_free(standard);
        sphere::gst::post_error(element->get(), {code, "what, where and the remedy"});
        EXPECT_EQ(element->messages(GST_MESSAGE_ERROR),
                  std::vector<std::string>{"what, where and the remedy"});
        sphere::gst::post_warning(element->get(), {code, "a doubt"});
        EXPECT_EQ(element->messages(GST_MESSAGE_WARNING), std::vector<std::string>{"a doubt"});
    }
}

TEST_F(Guard, ExceptionsStopHereAndAreReported) {
    EXPECT_EQ(sphere::gst::guarded(element->get(), -7,
                                   []() -> int { throw std::runtime_error("boom"); }),
              -7);
    EXPECT_EQ(sphere::gst::guarded(element->get(), -7, []() -> int { throw 42; }), -7);
    EXPECT_EQ(sphere::gst::guarded(element->get(), -7, [] { return 3; }), 3);
    EXPECT_EQ(element->messages(GST_MESSAGE_ERROR).size(), 2U);
}

} // namespace
