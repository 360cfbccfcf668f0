/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs that follow file systems and the probe say to each other. */
#ifndef PROC_FS_H
#define PROC_FS_H

#include "proc_head.h"

/* What is timed, by file system and operation. */
enum proc_fs_op {
	PROC_FS_EXT4_READ = 0,
	PROC_FS_EXT4_WRITE = 1,
	PROC_FS_EXT4_OPEN = 2,
	PROC_FS_EXT4_FLUSH = 3,
	PROC_FS_OVERLAY_READ = 4,
	PROC_FS_OVERLAY_WRITE = 5,
	PROC_FS_OVERLAY_OPEN = 6,
	PROC_FS_OVERLAY_FLUSH = 7,
	PROC_FS_TMPFS_READ = 8,
	PROC_FS_TMPFS_WRITE = 9,
	PROC_FS_TMPFS_FLUSH = 10,
};

#define PROC_FS_OPS 11

/* A process. */
struct proc_fs {
	struct proc_head head;
	struct proc_time of[PROC_FS_OPS];
};

#endif /* PROC_FS_H */
