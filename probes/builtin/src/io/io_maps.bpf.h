/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Maps and settings. */
#ifndef IO_MAPS_BPF_H
#define IO_MAPS_BPF_H

/* The reader makes it fewer on hosts with many CPUs. */
#define MAX_DEVICES 512
#define REQUEST_SETS 8192 /* of IO_WAYS each; a power of two */
#define MAX_BIOS 8192

/* Upper bounds of the distributions, set before the load. */
const volatile uint64_t bounds[IO_BOUNDS] = {0};

/* Set while it runs. */
uint64_t period = 1; /* which period runs */
uint64_t sample_ns = 0; /* between two samples of a device on a CPU */
uint32_t doing = 0; /* IO_TIMES and so on */

/*
 * By device. Preallocated, though most hosts use little of it: a program may not wait for memory, and where
 * it gets none (a control group at its limit is enough) the first requests of a device would not be counted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_DEVICES);
	__type(key, uint32_t);
	__type(value, struct io_counts);
} devices SEC(".maps");

/* Names by device, for those that user space does not find or finds no more. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_DEVICES);
	__type(key, uint32_t);
	__type(value, struct io_name);
} names SEC(".maps");

/*
 * Requests under way, in sets by address: no lock, no list, and looked up without a call, for this is on the
 * way of every request. A request is another one's as soon as it has ended: the newest counts.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, REQUEST_SETS);
	__type(key, uint32_t);
	__type(value, struct io_set);
} requests SEC(".maps");

/* Bios under way, by address. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_BIOS);
	__type(key, uint64_t);
	__type(value, struct io_bio);
} bios SEC(".maps");

/* By the device of a file system or of a block special file. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_DEVICES);
	__type(key, uint32_t);
	__type(value, struct io_pages);
} pages SEC(".maps");

GOPHER_RING(failures, 64 * 1024);

static const struct io_counts no_counts;
static const struct io_pages no_pages;

/* A request whose end nobody sees for so long has ended where no program was. */
#define FORGOTTEN_NS 300000000000ULL

/* The requests of the tags of a queue lie one behind the other, so their low bits spread them. */
static __always_inline struct io_set *set_of(const struct request *rq)
{
	uint32_t index = (uint64_t)rq >> 6 & (REQUEST_SETS - 1);

	return bpf_map_lookup_elem(&requests, &index);
}

/* The place of a request that is under way, or NULL. */
static __always_inline struct io_in_flight *in_flight(const struct request *rq)
{
	struct io_set *set = set_of(rq);

	if (!set)
		return NULL;
#pragma unroll
	for (int i = 0; i < IO_WAYS; i++) {
		if (set->way[i].request == (uint64_t)rq)
			return &set->way[i];
	}
	return NULL;
}

/* The same, or a free place for it; NULL if there is none, which is counted. */
static __always_inline struct io_in_flight *place_for(const struct request *rq, uint64_t now)
{
	struct io_in_flight *place = in_flight(rq);
	struct io_set *set;

	if (place) {
		/* Given to the driver again, or a later one: then nobody saw the end of the one before. */
		if (rq->start_time_ns > place->born)
			gopher_lose(IO_LOST_END);
		return place;
	}
	set = set_of(rq);
	if (!set)
		return NULL;
#pragma unroll
	for (int i = 0; i < IO_WAYS; i++) {
		if (!set->way[i].request)
			return &set->way[i];
	}
	gopher_lose(IO_LOST_IN_FLIGHT);
#pragma unroll
	for (int i = 0; i < IO_WAYS; i++) {
		if (now - set->way[i].begun > FORGOTTEN_NS) {
			gopher_lose(IO_LOST_END);
			return &set->way[i];
		}
	}
	return NULL;
}

/* Makes the counts of `device`, whose disk is `disk`; NULL if there is no room, which is counted. */
static __always_inline struct io_counts *meet(uint32_t device, const struct gendisk *disk)
{
	struct io_counts *counts;
	struct io_name name = {};

	if (disk && device == gopher_disk_device(disk)) {
		bpf_probe_read_kernel_str(name.text, sizeof(name.text), disk->disk_name);
		bpf_map_update_elem(&names, &device, &name, BPF_ANY);
	}
	bpf_map_update_elem(&devices, &device, &no_counts, BPF_NOEXIST);
	counts = bpf_map_lookup_elem(&devices, &device);
	if (!counts)
		gopher_lose(GOPHER_LOST_MAP);
	return counts;
}

/* This CPU's counts of `device`; NULL for no device. */
static __always_inline struct io_counts *counts_of(uint32_t device, const struct request *rq)
{
	struct io_counts *counts = device ? bpf_map_lookup_elem(&devices, &device) : NULL;

	return counts || !device ? counts : meet(device, gopher_request_disk(rq));
}

static __always_inline struct io_counts *counts_of_bio(uint32_t device, const struct bio *bio)
{
	struct io_counts *counts = device ? bpf_map_lookup_elem(&devices, &device) : NULL;

	return counts || !device ? counts : meet(device, gopher_bio_disk(bio));
}

#endif /* IO_MAPS_BPF_H */
