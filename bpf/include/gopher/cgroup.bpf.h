/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Cgroups of tasks: the one that a controller counts a task in, on v1 and v2 alike, and what it is called.
 */
#ifndef GOPHER_CGROUP_BPF_H
#define GOPHER_CGROUP_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <gopher/abi.h>
#include <gopher/core_fixes.bpf.h>

/*
 * Where in struct css_set the state of a controller is: of the task's cgroup in the controller's hierarchy
 * or, in v2, of the nearest one above it that has the controller. `controller` is an enumerator of enum
 * cgroup_subsys_id; negative where the kernel has it not.
 */
#define gopher_css_offset(controller)                                                                     \
	({                                                                                                \
		int64_t offset = -1;                                                                      \
		if (bpf_core_enum_value_exists(enum cgroup_subsys_id, controller))                        \
			offset = bpf_core_field_offset(struct css_set, subsys) +                          \
				 sizeof(void *) * bpf_core_enum_value(enum cgroup_subsys_id, controller); \
		offset;                                                                                   \
	})

/* The names of the directories of a cgroup, the innermost first; what stands behind a NUL is left over. */
static __always_inline void gopher_cgroup_path(uint8_t (*path)[GOPHER_CGROUP_NAME],
					       const struct kernfs_node *node)
{
#pragma unroll
	for (int level = 0; level < GOPHER_CGROUP_LEVELS; level++) {
		path[level][0] = 0;
		if (node) {
			bpf_probe_read_kernel_str(path[level], GOPHER_CGROUP_NAME, BPF_CORE_READ(node, name));
			node = gopher_kernfs_parent(node);
		}
	}
}

#endif /* GOPHER_CGROUP_BPF_H */
