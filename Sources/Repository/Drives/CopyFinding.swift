package import BackupCore

/// One file that one drive does not have as it should.
package struct CopyFinding: Hashable, Sendable {
    /// What is wrong with it.
    package enum Problem: String, Sendable, CaseIterable {
        case missing
        /// Its size is not that of a good copy, nor are its bytes.
        case wrongSize
        /// Its bytes are not what its name promises; for the config: not the owner's.
        case wrongHash
        /// The drive gives an error for it.
        case unreadable
    }

    package let drive: DriveID
    package let file: FileName
    package let problem: Problem
    /// Whether another drive has it good (in an audit by size: has it at all).
    package let hasGoodCopy: Bool

    /// A finding with every field given.
    package init(drive: DriveID, file: FileName, problem: Problem, hasGoodCopy: Bool) {
        self.drive = drive
        self.file = file
        self.problem = problem
        self.hasGoodCopy = hasGoodCopy
    }
}

/// Decides, under the owner's key, whether bytes are the config of the owner's repository: the
/// one file that has no hash for a name.
package typealias ConfigJudge = @Sendable (_ config: [UInt8]) -> Bool

/// Where progress goes. Called in order, perhaps from several threads; it must not block.
package typealias CopyProgressSink = @Sendable (RunProgress) -> Void

/// Reads packs of one drive from the medium, for a purpose of its own, and tells of each what it
/// is; `read` is told of bytes as they are read. Whoever reads a drive's packs anyway saves the
/// audit a second reading.
package typealias PackProver =
    @Sendable (
        _ packs: [FileName], _ read: @escaping @Sendable (_ byteCount: UInt64) -> Void
    ) async -> [FileName: ReadBack]
