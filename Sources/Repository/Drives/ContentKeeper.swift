package import BackupCore

/// What drives cannot tell, since they know no key: which content kept snapshots need. Asked only
/// while a drive still holds files that tombstones name.
package struct ContentKeeper: Sendable {
    /// What a rescue came to.
    package struct Rescued: Sendable {
        /// Indexes that are superseded by it, beyond those that tombstones name.
        package var superseded: [FileName]
        /// Drives that could not take the new files, and why.
        package var behind: [DriveID: BackendError]

        /// A result with every field given.
        package init(superseded: [FileName], behind: [DriveID: BackendError]) {
            self.superseded = superseded
            self.behind = behind
        }
    }

    /// Stores anew on every copy what kept snapshots need and only files in `gone` hold. It
    /// throws when no copy is left.
    package let rescue:
        @Sendable (_ copies: [DriveBackend], _ gone: Set<FileName>) async throws(BackendError)
            -> Rescued
    /// Whether a copy keeps all that its kept snapshots have when `gone` are removed from it.
    package let losesNothing:
        @Sendable (_ copy: DriveBackend, _ gone: Set<FileName>) async throws(BackendError) -> Bool

    /// A keeper of two closures.
    package init(
        rescue:
            @escaping @Sendable (
                _ copies: [DriveBackend], _ gone: Set<FileName>
            ) async throws(BackendError) -> Rescued,
        losesNothing:
            @escaping @Sendable (
                _ copy: DriveBackend, _ gone: Set<FileName>
            ) async throws(BackendError) -> Bool
    ) {
        self.rescue = rescue
        self.losesNothing = losesNothing
    }

    /// Removes from one copy what a catch-up left over there (``CatchUpReport/leftOver``):
    /// snapshots at once, indexes and packs when nothing is lost with them. False when they must
    /// stay for now. To be called under an exclusive lock, with another drive at hand.
    package func retire(
        _ leftOver: Set<FileName>, on copy: DriveBackend, at time: Timestamp
    ) async throws(BackendError) -> Bool {
        let snapshots = leftOver.filter { $0.kind == .snapshot }
        try await copy.retire(Array(snapshots), at: time)
        let content = leftOver.subtracting(snapshots)
        guard !content.isEmpty else { return true }
        guard try await losesNothing(copy, content) else { return false }
        try await copy.retire(Array(content), at: time)
        return true
    }
}
