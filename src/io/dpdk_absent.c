/* DPDK in a build without it. */
#include "io/driver_kind.h"

const struct wio_driver_kind wio_kind_dpdk = {
    .name = "dpdk", .absent = "install libdpdk-dev, then build again with -Ddpdk=enabled (meson configure)"};
