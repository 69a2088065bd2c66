/* AF_XDP in a build without libxdp. */
#include "io/driver_kind.h"

const struct wio_driver_kind wio_kind_xdp = {
    .name = "xdp", .absent = "install libxdp-dev and libbpf-dev, then build again (meson configure -Dxdp=enabled)"};
