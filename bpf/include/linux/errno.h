/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What <bpf/usdt.bpf.h> takes from the C library's headers, which a machine has for its own architecture
 * only. */
#ifndef GOPHER_LINUX_ERRNO_H
#define GOPHER_LINUX_ERRNO_H

#define ENOENT 2
#define ESRCH 3
#define E2BIG 7
#define EEXIST 17
#define EINVAL 22

#endif /* GOPHER_LINUX_ERRNO_H */
