//! One descriptor for what wakes a probe besides its report period: a period of its own, and a descriptor such as a
//! ring's.

use rustix::event::epoll;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::time::Duration;

/// The descriptor and the timer behind it.
#[derive(Debug)]
pub struct Alarm {
    either: OwnedFd,
    timer: OwnedFd,
    period: Duration,
}

impl Alarm {
    /// Wakes for `bell`, and every `period`; never by itself if that is zero.
    pub fn new(bell: BorrowedFd<'_>, period: Duration) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let either = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (number, fd) in [(0, timer.as_fd()), (1, bell)] {
            epoll::add(&either, fd, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        }
        let mut alarm = Self { either, timer, period: Duration::ZERO };
        alarm.every(period)?;
        Ok(alarm)
    }

    /// What to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.either.as_fd()
    }

    /// Changes the period; the first time comes after a whole one.
    pub fn every(&mut self, period: Duration) -> io::Result<()> {
        if period != self.period {
            self.period = period;
            self.set(period)?;
        }
        Ok(())
    }

    /// Wakes once after `delay`, if that is sooner than the next time, and goes on by its period after that.
    pub fn soon(&self, delay: Duration) -> io::Result<()> {
        let left = rustix::time::timerfd_gettime(&self.timer)?.it_value;
        let never = left.tv_sec == 0 && left.tv_nsec == 0;
        if never || duration(left) > delay {
            self.set(delay)?;
        }
        Ok(())
    }

    /// Whether the timer went off; takes that back.
    pub fn went_off(&self) -> bool {
        rustix::io::read(&self.timer, &mut [0; 8]).is_ok()
    }

    fn set(&self, first: Duration) -> io::Result<()> {
        let time = Itimerspec { it_interval: timespec(self.period), it_value: timespec(first) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time)?;
        Ok(())
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

fn duration(time: Timespec) -> Duration {
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

    fn wakes(alarm: &Alarm) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(alarm.fd(), PollFlags::IN)];
        poll(&mut fds, None).is_ok_and(|count| count == 1)
    }

    #[test]
    fn the_bell_and_the_timer_wake_and_are_told_apart() {
        let bell = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        let mut alarm = Alarm::new(bell.as_fd(), Duration::ZERO).expect("an alarm");
        rustix::io::write(&bell, &1u64.to_ne_bytes()).expect("rung");
        assert!(wakes(&alarm) && !alarm.went_off());
        rustix::io::read(&bell, &mut [0; 8]).expect("heard");
        alarm.every(Duration::from_millis(1)).expect("set");
        assert!(wakes(&alarm) && alarm.went_off());
    }

    #[test]
    fn soon_brings_the_next_time_forward_and_never_puts_it_off() {
        let bell = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        let mut alarm = Alarm::new(bell.as_fd(), Duration::from_secs(3600)).expect("an alarm");
        alarm.soon(Duration::from_millis(1)).expect("set");
        assert!(wakes(&alarm) && alarm.went_off());
        alarm.every(Duration::from_millis(1)).expect("set");
        alarm.soon(Duration::from_secs(3600)).expect("set");
        assert!(wakes(&alarm) && alarm.went_off());
    }
}
