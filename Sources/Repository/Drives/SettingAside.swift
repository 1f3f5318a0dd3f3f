package import BackupCore

extension [DriveBackend] {
    /// Moves files that no drive has good (`damaged`), and index files that name them
    /// (`superseded`), to each drive's quarantine, once what replaces them (`replacements`) was
    /// read back from every drive's medium. No superseded index comes back from a drive: its
    /// tombstone stands everywhere before the first file goes. `damaged` or an error of a drive
    /// when something is in the way: then everything is where it was.
    ///
    /// For who holds the owner's lock, and an exclusive one in each repository; every drive that
    /// may have a good copy must be among these.
    package func setAside(
        _ superseded: [FileName], _ damaged: [FileName], for replacements: [FileName],
        at time: Timestamp
    ) async throws(BackendError) {
        for copy in self {
            for file in replacements {
                switch await copy.readBack(file, validConfig: { _ in false }) {
                case .good: continue
                case .failed(let error): throw error
                case .bad, .gone:
                    throw copy.drive.system.error(
                        .damaged, "\(file.relativePath) reads back wrong after it was written")
                }
            }
        }
        for copy in self { try await copy.bury(superseded, at: time) }
        let files = superseded + damaged
        for copy in self where !files.isEmpty {
            try await copy.writing { (folder) throws(BackendError) in try folder.setAside(files) }
        }
    }
}
