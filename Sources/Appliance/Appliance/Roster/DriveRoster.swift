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
        DriveOptions(
            clock: clock, reserveBytes: configuration.reserveBytes, fault: driveFault)
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
        // Before the drives are looked at: a run that ends meanwhile renews a drive first and then
        // the memory of it, and must not make a good drive look like an old copy.
        var memories: [DriveID: DriveMemory] = [:]
        for entry in configuration.drives { memories[entry.id] = store.memory(of: entry.id) }
        var found: [DriveID: [Drive]] = [:]
        var problems: [DriveID: BackendError] = [:]
        var garbled: [(Configuration.DriveEntry, UnidentifiedDrive)] = []
        var places: [FolderPlace] = []
        for entry in configuration.drives {
            let place = FolderPlace(entry.path)
            // One folder under two entries is one drive, and not a drive and its clone.
            guard !places.contains(where: { $0.isSame(as: place) }) else { continue }
            places.append(place)
            do throws(BackendError) {
                if let drive = try await Drive.openUnidentified(
                    path: entry.path, options: driveOptions)
                {
                    garbled.append((entry, drive))
                } else {
                    let drive = try await Drive.open(path: entry.path, options: driveOptions)
                    found[drive.id, default: []].append(drive)
                }
            } catch {
                problems[entry.id] = error.of(entry.id)
            }
        }
        for (entry, unidentified) in garbled {
            do throws(BackendError) {
                guard found[entry.id] == nil else { throw Self.unreadable(entry) }
                found[entry.id] = [try await identify(unidentified, as: entry, set)]
            } catch {
                problems[entry.id] = error.of(entry.id)
            }
        }
        let slots = configuration.drives.map { entry in
            slot(
                entry, found: found, problem: problems[entry.id], set: set,
                memory: memories[entry.id])
        }
        let roster = DriveRoster(slots: slots)
        await rebuildCatalog(from: roster.present)
        return roster
    }

    /// Gives a drive with a garbled record the id that is configured for its path; no other drive
    /// that is there carries it.
    private func identify(
        _ drive: UnidentifiedDrive, as entry: Configuration.DriveEntry, _ set: DriveSetID?
    ) async throws(BackendError) -> Drive {
        guard let set, try await recognises(drive) else { throw Self.unreadable(entry) }
        let record = nextRecord(of: entry.id, set: set)
        log.warning(
            "drive record rewritten",
            metadata: ["drive": "\(entry.id)", "generation": "\(record.generation)"])
        return try await drive.identify(as: record)
    }

    private static func unreadable(_ entry: Configuration.DriveEntry) -> BackendError {
        BackendError(
            .absent,
            "drive.json in \(HostileText.escaped(entry.path)) is garbled, and it is not known "
                + "whether this is the drive", drive: entry.id)
    }

    /// The record for a drive that lost its own: a generation after the remembered one; of a new
    /// drive without an id.
    func nextRecord(of drive: DriveID?, set: DriveSetID) -> DriveRecord {
        guard let drive else { return .new(set: set) }
        let memory = store.memory(of: drive)
        return DriveRecord(
            drive: drive, set: set, generation: memory?.generation ?? 0,
            nonce: memory?.nonce ?? "unknown"
        ).renewed()
    }

    /// Whether a repository on a drive with a garbled record opens with a key of this box.
    func recognises(_ drive: UnidentifiedDrive) async throws(BackendError) -> Bool {
        await recognises(try await drive.configs())
    }

    /// Whether one of these repositories' sealed configs opens with a key of this box.
    func recognises(_ configs: [OwnerID: [UInt8]]) async -> Bool {
        for (owner, config) in configs.sorted(by: { $0.key < $1.key }) {
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
        set: DriveSetID?, memory: DriveMemory?
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
        guard Self.isCurrent(drive, memory) else {
            return refused(
                .wrongDrive, "it is an older copy or a clone of the drive that was used last")
        }
        return DriveRoster.Slot(entry: entry, drive: drive, problem: nil)
    }

    /// Whether a drive is the one that was used last, and not its clone or an old image of it.
    private static func isCurrent(_ drive: Drive, _ memory: DriveMemory?) -> Bool {
        guard let memory else { return true }
        let record = drive.record
        return record.generation > memory.generation
            || record.generation == memory.generation && record.nonce == memory.nonce
    }

    /// Gives drives that were written to their next generation, and remembers it.
    func renew(_ drives: [Drive]) async {
        for drive in drives {
            // A drive that cannot take the record keeps the old one, which is still believed.
            guard let record = try? await drive.renew() else { continue }
            // Of two runs that end at the same time the later generation is remembered.
            guard store.memory(of: drive.id)?.generation ?? 0 < record.generation else { continue }
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

extension BackendError {
    /// The same error, said of `drive`.
    fileprivate func of(_ drive: DriveID) -> BackendError {
        BackendError(code, detail, drive: drive, nativeCode: nativeCode)
    }
}

extension StateStore {
    /// The drives that were ever used with this state folder, by id.
    func rememberedDrives() throws(ApplianceError) -> [DriveID] {
        try StateFiles.names(in: root + "/drives").filter { $0.hasSuffix(".json") }
            .compactMap { DriveID(rawValue: String($0.dropLast(5))) }
    }
}
