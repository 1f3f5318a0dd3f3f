package import BackupCore
package import ControlAPI
import Drives
import Logging

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
    /// with the last answer for the same owner, nil at first.
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

/// Enrols folders as drives, or adopts drives that are enrolled already.
package struct SetupJob: Sendable {
    private let options: SetupOptions
    private let surroundings: Surroundings
    private let words: any WordSource

    /// A setup with `options`.
    package init(
        _ options: SetupOptions, in surroundings: Surroundings, words: any WordSource
    ) {
        self.options = options
        self.surroundings = surroundings
        self.words = words
    }

    /// Does it. What was done before an error stays and is found again by the next setup; the
    /// configuration is written last.
    package func run() async throws -> SetupReport {
        let (file, existing) = try configurationFile()
        var configuration = existing?.configuration ?? fresh(file)
        guard !options.drives.isEmpty || !configuration.drives.isEmpty else {
            throw ApplianceError(
                .usage, "No drive was named.",
                whatToDo: "Run holdfast setup --drive DIR --drive DIR.")
        }
        let box = try Composition.box(configuration, in: surroundings)
        let found = try await look(box)
        let set = try await driveSet(box, found)
        try box.store.remember(driveSet: set)
        var report = SetupReport(configuration: configuration, drives: [])
        let drives = try await enrol(found, set, box, &report)
        try Drive.refuseDuplicates(among: drives)
        let adoption = Adoption(box: box, drives: drives, words: words)
        report.adopted = try await adoption.run()
        for drive in drives { box.remember(drive.record) }
        configuration = try write(drives, file, existing, configuration)
        report.configuration = configuration
        try await conclude(&report)
        return report
    }

    // MARK: Configuration

    private struct Existing {
        let text: String
        let configuration: Configuration
    }

    /// Without a name, `--state DIR` keeps the file in DIR too: one folder is the installation.
    private func configurationFile() throws(ApplianceError) -> (String, Existing?) {
        var file = options.file
        if let state = options.state, !options.isFileNamed { file = state + "/holdfast.yaml" }
        guard let bytes = try StateFiles.read(file) else { return (file, nil) }
        let configuration = try Configuration.load(file: file, in: surroundings)
        guard options.state == nil || options.state == configuration.state else {
            throw ApplianceError(
                .configuration,
                "\(HostileText.escaped(file)) names another state folder: "
                    + "\(HostileText.escaped(configuration.state)).",
                whatToDo: "Leave out --state, or name another file with --config.")
        }
        return (
            file,
            Existing(text: String(decoding: bytes, as: UTF8.self), configuration: configuration)
        )
    }

    private func fresh(_ file: String) -> Configuration {
        let state = options.state ?? surroundings.defaultState
        let run =
            state == surroundings.defaultState ? surroundings.defaultRun : state + "/run"
        return Configuration(
            file: file, state: state, run: run, hostname: surroundings.hostname)
    }

    private func write(
        _ drives: [Drive], _ file: String, _ existing: Existing?, _ configuration: Configuration
    ) throws(ApplianceError) -> Configuration {
        var result = configuration
        var names = Set(configuration.drives.map(\.name))
        var new: [Configuration.DriveEntry] = []
        for drive in drives where !configuration.drives.contains(where: { $0.id == drive.id }) {
            let name = Self.freeName(for: drive.path, &names)
            new.append(Configuration.DriveEntry(id: drive.id, name: name, path: drive.path))
        }
        result.drives += new
        guard let existing else {
            try StateFiles.makeFolder(StateFiles.parentPath(file))
            try StateFiles.write(Array(result.fileText.utf8), to: file)
            return result
        }
        guard !new.isEmpty else { return result }
        let text = Configuration.adding(
            new, to: existing.text, file: file, in: surroundings)
        guard let text else {
            throw ApplianceError(
                .configuration,
                "The drives are enrolled, but \(HostileText.escaped(file)) could not be extended.",
                whatToDo: "Add these lines under drives: "
                    + new.map { "{id: \($0.id), path: \($0.path)}" }.joined(separator: " "))
        }
        try StateFiles.write(Array(text.utf8), to: file)
        return result
    }

    /// The last component of the path, with a number when another drive has that name.
    private static func freeName(for path: String, _ taken: inout Set<String>) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? "drive"
        let plain = String(HostileText.escaped(last).prefix(40))
        var name = plain
        var number = 2
        while !taken.insert(name).inserted {
            name = "\(plain) (\(number))"
            number += 1
        }
        return name
    }

    // MARK: Drives

    /// What lies at each path: a drive, a drive with a garbled record, or a folder.
    private enum Found: Sendable {
        case drive(Drive)
        case unidentified(UnidentifiedDrive)
        case folder(String)
    }

    private func look(_ box: Box) async throws -> [Found] {
        var found: [Found] = []
        for path in options.drives {
            let item = try await look(at: path, options: box.driveOptions)
            found.append(item)
        }
        return found
    }

    private func look(
        at path: String, options: DriveOptions
    ) async throws(BackendError) -> Found {
        do {
            if let drive = try await Drive.openUnidentified(path: path, options: options) {
                return .unidentified(drive)
            }
            return .drive(try await Drive.open(path: path, options: options))
        } catch {
            guard error.code == .absent else { throw error }
            return .folder(path)
        }
    }

    /// The set of the state folder or of the drives; they must agree. A new one when there is
    /// neither.
    private func driveSet(_ box: Box, _ found: [Found]) async throws -> DriveSetID {
        var known = try box.store.driveSet()
        for case .drive(let drive) in found {
            if let known, known != drive.set {
                throw BackendError(
                    .wrongDrive,
                    "\(HostileText.escaped(drive.path)) belongs to another set of drives",
                    drive: drive.id)
            }
            known = drive.set
        }
        return known ?? DriveSetID(trusted: "set-" + RandomText.hex(8))
    }

    private func enrol(
        _ found: [Found], _ set: DriveSetID, _ box: Box, _ report: inout SetupReport
    ) async throws -> [Drive] {
        var drives: [Drive] = []
        for item in found {
            switch item {
            case .drive(let drive): drives.append(drive)
            case .folder(let path):
                let drive = try await Drive.enrol(
                    path: path, set: set, options: box.driveOptions)
                try await drive.journal.append(.enrolled(set: set), at: box.clock.now())
                box.log.notice("drive enrolled", metadata: ["drive": "\(drive.id)"])
                report.enrolled.append(drive.id)
                drives.append(drive)
            case .unidentified(let drive):
                drives.append(
                    try await Adoption(box: box, drives: [], words: words)
                        .identify(drive, set: set))
                report.notes.append("A drive whose drive.json was garbled was recognised.")
            }
        }
        return drives
    }

    // MARK: The end

    private func conclude(_ report: inout SetupReport) async throws {
        let box = try Composition.box(report.configuration, in: surroundings)
        let roster = try await box.roster()
        report.drives = await box.documents(roster)
        if report.drives.count < 2 {
            report.notes.append(
                "Only one drive is enrolled: there is no second copy of anything. Add one with "
                    + "holdfast setup --drive DIR.")
        }
        for drive in report.drives where !drive.sameDeviceAs.isEmpty {
            report.notes.append(
                "Drive \(drive.name) lies on the same disk as another: one failure takes both.")
        }
    }
}
