package import BackupCore

/// What the installation is told by its one commented file and by `HOLDFAST_…` variables.
package struct Configuration: Hashable, Sendable {
    /// A drive as configured. The id is what counts; the path is only where to look first.
    package struct DriveEntry: Hashable, Sendable {
        package let id: DriveID
        /// A word for people.
        package let name: String
        /// The mount point or folder that holds `holdfast/`.
        package let path: String

        /// A configured drive.
        package init(id: DriveID, name: String, path: String) {
            self.id = id
            self.name = name
            self.path = path
        }
    }

    /// When a phone that shrank is a question and not a deletion.
    package struct ShrinkLimits: Hashable, Sendable {
        /// More than this part of the last complete snapshot's files or bytes gone, in percent.
        package var percent = 25
        /// Fewer files gone than this are never asked about.
        package var minimumFiles = 20
        /// The limits of the design.
        package init() {}
    }

    /// How much is logged.
    package enum LogLevel: String, Hashable, Sendable, CaseIterable {
        case error, warning, notice, info, debug
    }

    /// The file it was read from, or would be; commands shown to people name it.
    package var file: String
    /// Keys and catalog; absolute.
    package var state: String
    /// Bay states, sockets and locks; absolute.
    package var run: String
    /// Stands in snapshots and locks.
    package var hostname: String
    package var drives: [DriveEntry] = []
    /// How long a run waits for a person or a phone, in seconds.
    package var waitSeconds = 120
    /// How often a run makes what it has read durable, in seconds: how much a crash may cost.
    package var checkpointSeconds = 300
    package var shrink = ShrinkLimits()
    /// What unattended retention keeps; without a rule it keeps everything.
    package var retention = RetentionPolicy()
    /// Bytes that are left free on each drive; nil for the drives' own rule.
    package var reserveBytes: UInt64?
    package var logLevel = LogLevel.notice

    /// A configuration with everything at its default but the folders.
    package init(file: String, state: String, run: String, hostname: String) {
        self.file = file
        self.state = state
        self.run = run
        self.hostname = hostname
    }
}
