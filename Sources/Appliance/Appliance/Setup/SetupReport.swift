package import BackupCore
package import ControlAPI

/// What a setup is told on the command line.
package struct SetupOptions: Sendable {
    /// The state folder, absolute; nil for the configuration's or the default.
    package var state: String?
    /// Folders or mounts, absolute.
    package var drives: [String]
    /// The configuration file, absolute.
    package var file: String
    /// Whether a person named the file.
    package var isFileNamed: Bool

    /// A setup of `drives`.
    package init(state: String?, drives: [String], file: String, isFileNamed: Bool) {
        self.state = state
        self.drives = drives
        self.file = file
        self.isFileNamed = isFileNamed
    }
}

/// Where the words of owners come from when drives are adopted.
package protocol WordSource: Sendable {
    /// What was typed for `owner`, or nil when there is no more; `problem` says what was wrong
    /// with the last answer for the same owner, nil at first. How often is asked is decided here.
    func words(for owner: OwnerID, problem: String?) async -> String?
}

/// What a setup did.
package struct SetupReport: Sendable {
    package var configuration: Configuration
    package var drives: [DriveDocument]
    /// Drives that were folders before.
    package var enrolled: [DriveID] = []
    /// Owners whose words opened their repositories.
    package var adopted: [OwnerID] = []
    /// Sentences for people.
    package var notes: [String] = []

    /// Keys `config, state, drives, enrolled, adopted_owners, notes`.
    package var json: JSONValue {
        .members([
            "config": .string(configuration.file), "state": .string(configuration.state),
            "drives": .array(drives.map(\.json)),
            "enrolled": .array(enrolled.map { .string($0.rawValue) }),
            "adopted_owners": .array(adopted.map { .string($0.rawValue) }),
            "notes": .array(notes.map(JSONValue.string)),
        ])
    }
}
