/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the programs of the io probe and their reader share. A device is the kernel's number of a disk or
 * partition: major << 20 | minor.
 */
#ifndef IO_H
#define IO_H

#include <gopher/abi.h>

/* Reasons in gopher_lost. */
enum io_lost {
	IO_LOST_IN_FLIGHT = GOPHER_LOST_OWN, /* requests and bios that there was no room for */
	IO_LOST_UNSEEN, /* requests that ended and of which no begin was seen */
	IO_LOST_END, /* requests that began and of which no end was seen: not counted at all */
};

/* What is wanted of the programs: bits of `doing`. */
#define IO_TIMES 1 /* latencies */
#define IO_BYTES 2
#define IO_ERRORS 4
#define IO_TELL 8 /* each failure as a record */

/* Stages of a request: all of it, until the driver has it, from then on. */
enum io_stage {
	IO_REQUEST,
	IO_DRIVER,
	IO_DEVICE,
	IO_STAGES,
};

/* Bounds of the distributions. */
#define IO_BOUNDS 12

/* Of one period, which `period` names: these are valid for no other. */
struct io_peak {
	uint64_t period;
	uint64_t max[IO_STAGES];
	uint64_t jitter[IO_STAGES]; /* largest change between two samples */
	uint64_t last[IO_STAGES]; /* of the newest request; IO_NO_STAGE for a stage that it had not */
	uint64_t last_at; /* when it ended; 0: never */
};

#define IO_NO_STAGE (~0ULL)

/* What one CPU has counted of a device since it was first seen. Times in nanoseconds. */
struct io_counts {
	uint64_t read_bytes;
	uint64_t write_bytes;
	uint64_t failed;
	uint64_t failed_at; /* the newest */
	uint64_t woken_at; /* when the reader was last woken for one */
	uint64_t sampled_at;
	uint64_t sampled[IO_STAGES];
	uint64_t sum[IO_STAGES];
	struct io_peak peaks[2]; /* of the period that runs and the one before: an even and an odd one */
	uint32_t count[IO_STAGES][IO_BOUNDS + 1];
	int32_t code; /* of the newest failure: an errno below zero before 5.16, then a blk_status_t */
};

/* A request that the driver has; free while `request` is 0. */
struct io_in_flight {
	uint64_t request; /* its address */
	uint64_t born; /* its start_time_ns: a later request at this address has a later one */
	uint64_t begun;
	uint64_t task; /* who handed it over, as bpf_get_current_pid_tgid says it; only with IO_ERRORS */
	uint64_t named_at; /* when comm was asked for */
	uint8_t comm[16];
};

/* Those whose addresses lead here. */
#define IO_WAYS 4

struct io_set {
	struct io_in_flight way[IO_WAYS];
};

/* A bio that a device without requests has. */
struct io_bio {
	uint64_t begun;
	uint64_t sector;
	uint32_t device;
	uint32_t operation; /* with its flags */
	uint32_t bytes;
	uint32_t tgid;
	uint8_t comm[16];
};

/* A request that failed. */
struct io_failure {
	uint64_t at;
	uint64_t sector;
	uint32_t device;
	int32_t code;
	uint32_t bytes;
	uint32_t operation; /* with its flags */
	uint32_t tgid; /* 0 with an empty comm: not known */
	uint32_t zero;
	uint8_t comm[16];
};

/* The kernel's name of a disk that was seen. */
struct io_name {
	uint8_t text[32];
};

/* What one CPU has counted of a device's page cache. */
struct io_pages {
	uint64_t accessed;
	uint64_t buffers_dirtied;
	uint64_t loaded;
	uint64_t dirtied;
};

#endif /* IO_H */
