/* SPDX-License-Identifier: MIT
 * The elements' registration functions. */
#pragma once

#include <gst/gst.h>

GST_ELEMENT_REGISTER_DECLARE(spheredetect)
GST_ELEMENT_REGISTER_DECLARE(spheretrack)
GST_ELEMENT_REGISTER_DECLARE(spherealign)
GST_ELEMENT_REGISTER_DECLARE(sphereembed)
GST_ELEMENT_REGISTER_DECLARE(spherematch)
GST_ELEMENT_REGISTER_DECLARE(sphereattributes)
GST_ELEMENT_REGISTER_DECLARE(sphereoverlay)
GST_ELEMENT_REGISTER_DECLARE(sphereredact)
GST_ELEMENT_REGISTER_DECLARE(spherepublish)
GST_ELEMENT_REGISTER_DECLARE(spherebin)
GST_ELEMENT_REGISTER_DECLARE(spheresidecar)
GST_ELEMENT_REGISTER_DECLARE(sphereklvextract)
GST_ELEMENT_REGISTER_DECLARE(sphereklvcombine)
