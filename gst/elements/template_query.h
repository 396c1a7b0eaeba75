// SPDX-License-Identifier: MIT
// The custom query by which spherealign learns what crops are wanted downstream:
// "sphere-template" {template string, width int, height int}. The first answer wins.
#pragma once

#include <gst/gst.h>

#define GST_SPHERE_TEMPLATE_QUERY "sphere-template"
