import BackupCore
import Drives
import Logging
import ResticFormat

/// The enrolled drives as they are now: which are there, and what is wrong with the others.
struct DriveRoster: Sendable {
    /// One configured drive.
    struct Slot: Sendable {
        let entry: Configuration.DriveEntry
        /// The drive, wherever it was found; nil with a problem.
        let drive: Drive?
        let problem: BackendError?
    }

    let slots: [Slot]

    /// The drives that can be used, in the order of the configuration.
    var present: [Drive] { slots.compactMap(\.drive) }

    /// Why each missing drive is missing.
    var problems: [DriveID: BackendError] {
        Dictionary(
            slots.compactMap { slot in slot.problem.map { (slot.entry.id, $0) } },
            uniquingKeysWith: { first, _ in first })
    }

    /// The drives that can be used; an error that names the worst reason when there is none.
    func required() throws(BackendError) -> [Drive] {
        let present = present
        guard present.isEmpty else { return present }
        let order = ExitCode.byNeedOfAPerson
        let worst = slots.compactMap(\.problem).min { left, right in
            (order.firstIndex(of: left.exitCode) ?? order.count)
                < (order.firstIndex(of: right.exitCode) ?? order.count)
        }
        throw worst ?? BackendError(.absent, "no drive is enrolled")
    }

    /// The id of every configured drive.
    var enrolled: [DriveID] { slots.map(\.entry.id) }

    /// What people call a drive.
    func name(of drive: DriveID) -> String {
        slots.first { $0.entry.id == drive }?.entry.name ?? drive.rawValue
    }

    /// `text` with each drive's id followed by the name people know it by.
    func named(_ text: String) -> String {
        slots.reduce(text) { text, slot in
            let id = slot.entry.id.rawValue
            return text.replacing("Drive \(id)", with: "Drive \(shownName(slot.entry)) (\(id))")
        }
    }

    private func shownName(_ entry: Configuration.DriveEntry) -> String {
        HostileText.escaped(entry.name, limit: 64)
    }

    /// For each drive the other ones that lie on the same disk: one failure takes both.
    func neighbours() -> [DriveID: [DriveID]] {
        var found: [DriveID: [DriveID]] = [:]
        for drive in present {
            for other in present where other.id != drive.id {
                // A disk that cannot be told is not accused.
                if (try? drive.sharesDevice(with: other)) == true {
                    found[drive.id, default: []].append(other.id)
                }
            }
        }
        return found
    }
}

extension Box {
    /// How drives are used by this installation.
    var driveOptions: DriveOptions {
        DriveOptions(clock: clock, reserveBytes: configuration.reserveBytes)
    }

    /// Looks at every configured path and tells the drives by their ids, so that two that swapped
    /// places are still themselves. Nothing is made on a path that is no drive; a `drive.json`
    /// that is garbled is written again when a repository there opens with a key of ours.
    func roster() async throws(ApplianceError) -> DriveRoster {
        guard !configuration.drives.isEmpty else {
            throw ApplianceError(
                .configuration,
                "No drive is enrolled in \(HostileText.escaped(configuration.file)).",
                whatToDo: "Run holdfast setup --drive DIR --drive DIR.")
        }
        let set = try store.driveSet()
        var found: [DriveID: [Drive]] = [:]
        var problems: [DriveID: BackendError] = [:]
        for entry in configuration.drives {
            do throws(BackendError) {
                let drive = try await open(entry, set: set)
                found[drive.id, default: []].append(drive)
            } catch {
                problems[entry.id] = BackendError(
                    error.code, error.detail, drive: entry.id, nativeCode: error.nativeCode)
            }
        }
        let slots = configuration.drives.map { entry in
            slot(entry, found: found, problem: problems[entry.id], set: set)
        }
        let roster = DriveRoster(slots: slots)
        await rebuildCatalog(from: roster.present)
        return roster
    }

    private func open(
        _ entry: Configuration.DriveEntry, set: DriveSetID?
    ) async throws(BackendError) -> Drive {
        let unidentified = try await Drive.openUnidentified(
            path: entry.path, options: driveOptions)
        guard let unidentified else {
            return try await Drive.open(path: entry.path, options: driveOptions)
        }
        guard let set, try await recognises(unidentified) else {
            throw BackendError(
                .absent,
                "drive.json in \(HostileText.escaped(entry.path)) is garbled, and no repository "
                    + "there opens with a key of this box", drive: entry.id)
        }
        let memory = store.memory(of: entry.id)
        let record = DriveRecord(
            drive: entry.id, set: set, generation: memory?.generation ?? 0,
            nonce: memory?.nonce ?? "unknown"
        ).renewed()
        log.warning(
            "drive record rewritten",
            metadata: ["drive": "\(entry.id)", "generation": "\(record.generation)"])
        return try await unidentified.identify(as: record)
    }

    private func recognises(_ drive: UnidentifiedDrive) async throws(BackendError) -> Bool {
        for (owner, config) in try await drive.configs().sorted(by: { $0.key < $1.key }) {
            // An owner without a key of ours cannot vouch for the drive.
            guard let key = try? await masterKeyFromState(owner) else { continue }
            do throws(FormatError) {
                _ = try ConfigCodec.open(config, sealer: Sealer(key))
                return true
            } catch {
                continue
            }
        }
        return false
    }

    private func slot(
        _ entry: Configuration.DriveEntry, found: [DriveID: [Drive]], problem: BackendError?,
        set: DriveSetID?
    ) -> DriveRoster.Slot {
        func refused(_ code: BackendError.Code, _ detail: String) -> DriveRoster.Slot {
            DriveRoster.Slot(
                entry: entry, drive: nil,
                problem: BackendError(code, detail, drive: entry.id))
        }
        guard let drives = found[entry.id], let drive = drives.first else {
            return DriveRoster.Slot(
                entry: entry, drive: nil,
                problem: problem
                    ?? BackendError(
                        .wrongDrive,
                        "another drive is connected at \(HostileText.escaped(entry.path))",
                        drive: entry.id))
        }
        guard drives.count == 1 else {
            return refused(.wrongDrive, "two connected drives say that they are this one")
        }
        guard set == nil || drive.set == set else {
            return refused(.wrongDrive, "it belongs to another set of drives")
        }
        guard isCurrent(drive) else {
            return refused(
                .wrongDrive, "it is an older copy or a clone of the drive that was used last")
        }
        return DriveRoster.Slot(entry: entry, drive: drive, problem: nil)
    }

    /// Whether a drive is the one that was used last, and not its clone or an old image of it.
    private func isCurrent(_ drive: Drive) -> Bool {
        guard let memory = store.memory(of: drive.id) else { return true }
        let record = drive.record
        return record.generation > memory.generation
            || record.generation == memory.generation && record.nonce == memory.nonce
    }

    /// Gives drives that were written to their next generation, and remembers it.
    func renew(_ drives: [Drive]) async {
        for drive in drives {
            // A drive that cannot take the record keeps the old one, which is still believed.
            guard let record = try? await drive.renew() else { continue }
            remember(record)
        }
    }

    /// Remembers a drive's record as the current one.
    func remember(_ record: DriveRecord) {
        let memory = DriveMemory(generation: record.generation, nonce: record.nonce)
        // What is not remembered only weakens the guard against clones.
        try? store.remember(memory, of: record.drive)
    }
}
