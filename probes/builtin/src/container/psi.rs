//! `psi`: how long tasks of the container waited for CPU, memory and I/O.

use super::source::{File, Files};
use super::tables::Psi;
use probe_kit::pressure::{Pressure, parse};

/// Reads it. A file that has no line for something leaves it absent.
pub(super) fn read(files: &mut Files<'_>, buf: &mut Vec<u8>) -> Psi {
    let mut of = |file| files.read(file, buf).map(parse).unwrap_or_default();
    let [cpu, memory, io]: [Pressure; 3] =
        [of(File::CpuPressure), of(File::MemoryPressure), of(File::IoPressure)];
    Psi {
        pressure_cpu_waiting_seconds_total: cpu.some.total_ns,
        pressure_cpu_stalled_seconds_total: cpu.full.total_ns,
        pressure_cpu_waiting_avg10: cpu.some.avg10,
        pressure_memory_waiting_seconds_total: memory.some.total_ns,
        pressure_memory_stalled_seconds_total: memory.full.total_ns,
        pressure_memory_waiting_avg10: memory.some.avg10,
        pressure_io_waiting_seconds_total: io.some.total_ns,
        pressure_io_stalled_seconds_total: io.full.total_ns,
        pressure_io_waiting_avg10: io.some.avg10,
        ..Psi::default()
    }
}
