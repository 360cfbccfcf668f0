/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The page cache of a device: pages that come in, are asked for and become dirty. */
#ifndef IO_CACHE_BPF_H
#define IO_CACHE_BPF_H

#ifndef S_IFMT
#define S_IFMT 00170000
#endif
#define S_IFBLK 0060000
#define MINOR_BITS 20

/* Bits of an offset within a page, set before the load. */
const volatile uint32_t page_shift = 12;

/*
 * The device below a file's cache: of a block special file itself, else of its file system; 0 for those that
 * are on no device or on several (tmpfs, btrfs), whose numbers have the major 0.
 */
static __always_inline uint32_t device_of(const struct address_space *mapping)
{
	const struct inode *inode = mapping ? mapping->host : NULL;
	uint32_t device;

	if (!inode)
		return 0;
	device = (inode->i_mode & S_IFMT) == S_IFBLK ? inode->i_rdev : inode->i_sb->s_dev;
	return device >> MINOR_BITS ? device : 0;
}

/* This CPU's counts of a device's cache. */
static __always_inline struct io_pages *pages_of(uint32_t device)
{
	struct io_pages *found;

	if (!device)
		return NULL;
	found = bpf_map_lookup_elem(&pages, &device);
	if (found)
		return found;
	bpf_map_update_elem(&pages, &device, &no_pages, BPF_NOEXIST);
	found = bpf_map_lookup_elem(&pages, &device);
	if (!found)
		gopher_lose(GOPHER_LOST_MAP);
	return found;
}

/* Atomic: a page is loaded from an interrupt of another that is. */
#define ADD(mapping, field, count)                                     \
	do {                                                           \
		struct io_pages *found = pages_of(device_of(mapping)); \
                                                                       \
		if (found)                                             \
			__sync_fetch_and_add(&found->field, count);    \
	} while (0)

/* A folio, or a page where there are no folios: the first argument of both is told apart by the type alone.
 */
SEC("?tp_btf/mm_filemap_add_to_page_cache")
int BPF_PROG(page_loaded, struct folio *folio)
{
	ADD(gopher_folio_mapping(folio), loaded, gopher_folio_pages(folio));
	return 0;
}

static __always_inline int on_dirty(const void *folio, const struct address_space *mapping)
{
	ADD(mapping, dirtied, gopher_folio_pages(folio));
	return 0;
}

SEC("?tp_btf/writeback_dirty_folio")
int BPF_PROG(folio_dirtied, struct folio *folio, struct address_space *mapping)
{
	return on_dirty(folio, mapping);
}

SEC("?tp_btf/writeback_dirty_page")
int BPF_PROG(page_dirtied, struct page *page, struct address_space *mapping)
{
	return on_dirty(page, mapping);
}

SEC("?tp_btf/block_dirty_buffer")
int BPF_PROG(buffer_dirtied, struct buffer_head *buffer)
{
	const struct block_device *device = buffer->b_bdev;
	struct io_pages *found = pages_of(device ? device->bd_dev : 0);

	if (found)
		__sync_fetch_and_add(&found->buffers_dirtied, 1);
	return 0;
}

/* What a CPU was last asked for. */
struct asked {
	uint64_t task;
	uint64_t mapping;
	uint64_t first;
	uint64_t last;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct asked);
} asked_last SEC(".maps");

/*
 * A read looks up the pages from `first` to `last`, which may lie behind the end of the file. What it does
 * not get at once it asks for again, with a later `first`: those were counted.
 */
SEC("?tp_btf/mm_filemap_get_pages")
int BPF_PROG(pages_read, struct address_space *mapping, unsigned long first, unsigned long last)
{
	const struct inode *inode = mapping->host;
	uint64_t task = bpf_get_current_pid_tgid();
	uint64_t size = inode ? inode->i_size : 0;
	uint32_t zero = 0;
	struct asked *asked = bpf_map_lookup_elem(&asked_last, &zero);
	int again;

	if (!asked || !size)
		return 0;
	again = asked->task == task && asked->mapping == (uint64_t)mapping && asked->last == last &&
		asked->first < first;
	*asked = (struct asked){task, (uint64_t)mapping, first, last};
	if (last > (size - 1) >> page_shift)
		last = (size - 1) >> page_shift;
	if (!again && last >= first)
		ADD(mapping, accessed, last - first + 1);
	return 0;
}

static __always_inline int on_access(const void *folio)
{
	ADD(gopher_folio_mapping(folio), accessed, 1);
	return 0;
}

SEC("?fentry/folio_mark_accessed")
int BPF_PROG(folio_accessed, struct folio *folio)
{
	return on_access(folio);
}

SEC("?fentry/mark_page_accessed")
int BPF_PROG(page_accessed, struct page *page)
{
	return on_access(page);
}

#endif /* IO_CACHE_BPF_H */
