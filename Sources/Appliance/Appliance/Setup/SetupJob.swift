import BackupCore
import ControlAPI
import Drives
import Logging
import Synchronization

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
        let plan = try await SetupPlan.make(
            options.drives, configuration,
            options: DriveOptions(clock: BoxClock(), reserveBytes: configuration.reserveBytes))
        let set = try driveSet(StateStore(configuration), plan.drives)
        let box = try Composition.box(configuration, in: surroundings)
        try box.store.remember(driveSet: set)
        var report = SetupReport(configuration: configuration, drives: [])
        // First, as a key that words open may recognise a drive whose record is garbled.
        report.adopted = try await Adoption(box: box, drives: plan.drives, words: words).run()
        let drives = try await settle(plan, set, box, &report)
        report.adopted += try await Adoption(box: box, drives: drives, words: words).run()
        for drive in drives { box.remember(drive.record) }
        configuration = try write(
            drives, moved: plan.others, file, existing, configuration, &report)
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
        _ drives: [Drive], moved others: [Drive], _ file: String, _ existing: Existing?,
        _ configuration: Configuration, _ report: inout SetupReport
    ) throws(ApplianceError) -> Configuration {
        var result = configuration
        var names = Set(configuration.drives.map(\.name))
        var new: [Configuration.DriveEntry] = []
        for drive in drives where !configuration.drives.contains(where: { $0.id == drive.id }) {
            let name = Self.freeName(for: drive.path, &names)
            new.append(Configuration.DriveEntry(id: drive.id, name: name, path: drive.path))
        }
        guard let existing else {
            result.drives += new
            try StateFiles.makeFolder(StateFiles.parentPath(file))
            try StateFiles.write(Array(result.fileText.utf8), to: file)
            return result
        }
        var text = existing.text
        for drive in drives + others {
            text = try follow(drive, in: text, file, &result, &report)
        }
        result.drives += new
        if !new.isEmpty {
            let added = Configuration.adding(new, to: text, file: file, in: surroundings)
            guard let added else { throw unwritable(file, "The drives are enrolled", new) }
            text = added
        }
        if text != existing.text { try StateFiles.write(Array(text.utf8), to: file) }
        return result
    }

    /// `text` with the path where a configured drive was found, when that is another one.
    private func follow(
        _ drive: Drive, in text: String, _ file: String, _ configuration: inout Configuration,
        _ report: inout SetupReport
    ) throws(ApplianceError) -> String {
        guard let entry = configuration.drives.first(where: { $0.id == drive.id }),
            !FolderPlace(entry.path).isSame(as: FolderPlace(drive.path))
        else { return text }
        let moved = Configuration.DriveEntry(id: entry.id, name: entry.name, path: drive.path)
        let result = Configuration.moving(
            drive.id, to: drive.path, in: text, file: file, surroundings)
        guard let result else {
            throw unwritable(file, "Drive \(entry.id) was found at another path", [moved])
        }
        configuration = configuration.moving(drive.id, to: drive.path)
        report.notes.append(
            "Drive \(HostileText.escaped(entry.name)) (\(entry.id)) was found at another place: "
                + "its path in \(HostileText.escaped(file)) is "
                + "\(HostileText.escaped(drive.path)) now, and was "
                + "\(HostileText.escaped(entry.path)).")
        return result
    }

    private func unwritable(
        _ file: String, _ what: String, _ entries: [Configuration.DriveEntry]
    ) -> ApplianceError {
        let lines = entries.map { "{id: \($0.id), path: \(Configuration.quoted($0.path))}" }
        return ApplianceError(
            .configuration,
            "\(what), but \(HostileText.escaped(file)) could not be changed to say so.",
            whatToDo: "Have these lines under drives: " + lines.joined(separator: " "))
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

    /// The set of the state folder or of the drives; they must agree. A new one when there is
    /// neither.
    private func driveSet(
        _ store: StateStore, _ drives: [Drive]
    ) throws(ApplianceError) -> DriveSetID {
        var known = try store.driveSet()
        for drive in drives {
            guard known == nil || known == drive.set else {
                throw ApplianceError(
                    .wrongDrive,
                    "\(HostileText.escaped(drive.path)) belongs to another set of drives.",
                    whatToDo: "Use it with the box that enrolled it, or name another state "
                        + "folder with --state.")
            }
            known = drive.set
        }
        return known ?? DriveSetID(trusted: "set-" + RandomText.hex(8))
    }

    /// The named drives: garbled ones recognised, all before the first folder is enrolled.
    private func settle(
        _ plan: SetupPlan, _ set: DriveSetID, _ box: Box, _ report: inout SetupReport
    ) async throws -> [Drive] {
        for (place, item) in plan.found {
            let isOurs =
                switch item {
                case .unidentified(let drive): try await box.recognises(drive)
                case .unrecorded: try await box.recognises(Self.configs(at: place))
                case .drive, .folder: true
                }
            guard isOurs else { throw Self.unknown(place) }
        }
        var ids = plan.identities(remembered: try box.store.rememberedDrives())[...]
        var drives: [Drive] = []
        for (place, item) in plan.found {
            switch item {
            case .drive(let drive): drives.append(drive)
            case .unidentified(let drive):
                let record = box.nextRecord(of: ids.popFirst() ?? nil, set: set)
                drives.append(try await drive.identify(as: record))
                report.notes.append(Self.recognised(place))
            case .unrecorded:
                // An empty record is a garbled one: cut short here, the next setup goes on.
                try StateFiles.write([], to: place.path + "/holdfast/drive.json")
                let drive = try await Drive.openUnidentified(
                    path: place.path, options: box.driveOptions)
                guard let drive else { throw Self.unknown(place) }
                let record = box.nextRecord(of: ids.popFirst() ?? nil, set: set)
                drives.append(try await drive.identify(as: record))
                report.notes.append(Self.recognised(place))
            case .folder:
                drives.append(try await enrol(place.path, set, box, &report))
            }
        }
        return drives
    }

    private func enrol(
        _ path: String, _ set: DriveSetID, _ box: Box, _ report: inout SetupReport
    ) async throws -> Drive {
        let drive = try await Drive.enrol(path: path, set: set, options: box.driveOptions)
        try await drive.journal.append(.enrolled(set: set), at: box.clock.now())
        box.log.notice("drive enrolled", metadata: ["drive": "\(drive.id)"])
        report.enrolled.append(drive.id)
        // A new drive has no keys, so none that were replaced.
        for owner in try box.store.owners() {
            try box.store.rememberRetired(on: [drive.id], of: owner.id)
        }
        return drive
    }

    /// The sealed config of each repository on a drive without a record.
    private static func configs(at place: FolderPlace) throws(ApplianceError) -> [OwnerID: [UInt8]]
    {
        let folder = place.path + "/holdfast/repositories"
        var configs: [OwnerID: [UInt8]] = [:]
        for name in try StateFiles.names(in: folder) {
            guard let owner = OwnerID(rawValue: name) else { continue }
            configs[owner] = try StateFiles.read("\(folder)/\(name)/config")
        }
        return configs
    }

    private static func recognised(_ place: FolderPlace) -> String {
        "The drive at \(HostileText.escaped(place.path)), whose drive.json was lost or garbled, was "
            + "recognised by its repositories."
    }

    private static func unknown(_ place: FolderPlace) -> ApplianceError {
        ApplianceError(
            .wrongDrive,
            "\(HostileText.escaped(place.path)) holds a drive without a drive.json that can be read, and no repository there "
                + "opens with a key of this box.",
            whatToDo: "Run setup with a whole drive of the same set first and type the owners' "
                + "words; then name this one. To use it as a new drive, move its folder holdfast "
                + "away first.")
    }

    // MARK: The end

    private func conclude(_ report: inout SetupReport) async throws {
        let box = try Composition.box(report.configuration, in: surroundings)
        let roster = try await box.roster()
        let told = Mutex<[String]>([])
        await box.finishPending(on: roster) { event in
            if case .notice(let notice) = event { told.withLock { $0.append(notice.message) } }
        }
        report.notes += told.withLock { $0 }
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
