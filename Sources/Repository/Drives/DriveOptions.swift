package import BackupCore

/// How drives are used.
package struct DriveOptions: Sendable {
    /// Where deadlines take their time from.
    package var clock: any RunClock
    /// A drive from which nothing came back for this long counts as failed. 60 s unless told.
    package var stallLimit: Duration
    /// Space that packs leave free, in bytes; nil means ``defaultReserve(totalBytes:)``.
    package var reserveBytes: UInt64?
    /// Tests make system calls fail with it.
    package var fault: DriveFaultHook?
    /// Tests record with it what reached the drive.
    package var observer: DriveObserver?

    /// Options; what is left out has its default.
    package init(
        clock: any RunClock, stallLimit: Duration = .seconds(60), reserveBytes: UInt64? = nil,
        fault: DriveFaultHook? = nil, observer: DriveObserver? = nil
    ) {
        self.clock = clock
        self.stallLimit = stallLimit
        self.reserveBytes = reserveBytes
        self.fault = fault
        self.observer = observer
    }

    /// One percent, at least 64 MiB and at most 1 GiB, but never more than a sixteenth of a small
    /// filesystem. It leaves room for indexes, snapshots and locks, which may use it.
    package static func defaultReserve(totalBytes: UInt64) -> UInt64 {
        min(min(max(64 << 20, totalBytes / 100), 1 << 30), totalBytes / 16)
    }
}

/// The space of a drive's filesystem, in bytes.
package struct DriveSpace: Hashable, Sendable {
    package let freeBytes: UInt64
    package let totalBytes: UInt64
    /// Free space less the reserve: what packs may still use.
    package let usableBytes: UInt64
}
