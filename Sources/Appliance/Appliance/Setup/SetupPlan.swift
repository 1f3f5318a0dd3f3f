import BackupCore
import Drives
import Glibc

/// What a setup found at the paths it was told, before it writes anything: every refusal that can
/// be known beforehand is made here.
struct SetupPlan: Sendable {
    /// What lies at a path: a drive, a drive with a garbled record, or a folder to enrol.
    enum Found: Sendable {
        case drive(Drive)
        case unidentified(UnidentifiedDrive)
        /// Repositories without any record of the drive.
        case unrecorded
        case folder

        /// Whether this is a drive that cannot say who it is.
        var isNameless: Bool {
            switch self {
            case .unidentified, .unrecorded: true
            case .drive, .folder: false
            }
        }
    }

    let configuration: Configuration
    /// What lies at each path that was named, in that order.
    let found: [(place: FolderPlace, item: Found)]
    /// Configured drives that are there and were not named.
    let others: [Drive]
    /// Drives whose configured path, not named now, holds a drive with a garbled record.
    let reserved: Set<DriveID>

    /// The drives that are there and say who they are.
    var drives: [Drive] {
        found.compactMap { if case .drive(let drive) = $0.item { drive } else { nil } }
    }

    /// Looks at `paths` and at the configured drives; nothing is written.
    static func make(
        _ paths: [String], _ configuration: Configuration, options: DriveOptions
    ) async throws -> SetupPlan {
        let places = paths.map(FolderPlace.init)
        try SetupPaths(named: places, configuration: configuration).refuseUnsuitable()
        var found: [(place: FolderPlace, item: Found)] = []
        for place in places {
            found.append((place, try await look(at: place.path, options: options)))
        }
        var seen = places
        var others: [Drive] = []
        var reserved: Set<DriveID> = []
        for entry in configuration.drives {
            let place = FolderPlace(entry.path)
            guard !seen.contains(where: { $0.isSame(as: place) }) else { continue }
            seen.append(place)
            // A configured drive that is absent or does not answer is no matter of this setup.
            switch try? await look(at: entry.path, options: options) {
            case .drive(let drive): others.append(drive)
            case .unidentified, .unrecorded: reserved.insert(entry.id)
            case .folder, nil: break
            }
        }
        let plan = SetupPlan(
            configuration: configuration, found: found, others: others, reserved: reserved)
        try plan.refuseCopies()
        for (place, item) in found {
            if case .folder = item { try plan.refuseUnlessNew(place) }
        }
        return plan
    }

    private static func look(
        at path: String, options: DriveOptions
    ) async throws(BackendError) -> Found {
        do {
            if let drive = try await Drive.openUnidentified(path: path, options: options) {
                return .unidentified(drive)
            }
            return .drive(try await Drive.open(path: path, options: options))
        } catch {
            guard error.code == .absent else { throw error }
            // What cannot be listed is refused as a folder.
            let kept = try? StateFiles.names(in: path + "/holdfast/repositories")
            return kept?.isEmpty == false ? .unrecorded : .folder
        }
    }

    // MARK: Refusals

    private func refuseCopies() throws(ApplianceError) {
        let all = drives + others
        for (position, drive) in all.enumerated() {
            guard let other = all[..<position].first(where: { $0.id == drive.id }) else {
                continue
            }
            throw ApplianceError(
                .wrongDrive,
                "\(shown(other.path)) and \(shown(drive.path)) both say that they are drive "
                    + "\(drive.id): one is a copy of the other.",
                whatToDo: "Disconnect the copy and run setup again.")
        }
    }

    /// Refuses a folder that stands for a drive which is not there, or cannot become a drive.
    private func refuseUnlessNew(_ place: FolderPlace) throws {
        let present = Set((drives + others).map(\.id))
        let missing = configuration.drives.first { entry in
            !present.contains(entry.id) && FolderPlace(entry.path).isSame(as: place)
        }
        if let missing {
            throw ApplianceError(
                .noDrive,
                "Drive \(HostileText.escaped(missing.name)) (\(missing.id)) is not there: "
                    + "\(shown(place.path)) is its path, and holds no enrolled drive.",
                whatToDo: "Mount it and run setup again; to replace it by a new drive, remove its "
                    + "entry from \(shown(configuration.file)) first.")
        }
        guard StateFiles.isFolder(place.path) else {
            throw ApplianceError(
                .noDrive, "There is no folder \(shown(place.path)).",
                whatToDo: "Make the folder or mount the drive, and run setup again.")
        }
        // Sound: the path is lent NUL-terminated for the call.
        guard unsafe access(place.path, W_OK) == 0 else {
            let isReadOnly = errno == EROFS
            throw BackendError(
                isReadOnly ? .readOnly : .io,
                "\(shown(place.path)) cannot be written: \(SystemCall.reason(errno))")
        }
    }

    private func shown(_ path: String) -> String { HostileText.escaped(path) }

    // MARK: Identities

    /// The id that each drive with a garbled record gets, in the order of ``found``; nil for a
    /// new one. It is the id configured for its path, else the one that only it can have: an id
    /// that another drive carries, or may carry, is never given again.
    func identities(remembered: [DriveID]) -> [DriveID?] {
        let places = found.filter(\.item.isNameless).map(\.place)
        var taken = Set((drives + others).map(\.id)).union(reserved)
        var ids = places.map { place in
            let entry = configuration.drives.first { entry in
                !taken.contains(entry.id) && FolderPlace(entry.path).isSame(as: place)
            }
            if let entry { taken.insert(entry.id) }
            return entry?.id
        }
        let rest = ids.indices.filter { ids[$0] == nil }
        let configured = configuration.drives.map(\.id).filter { !taken.contains($0) }
        let free = configured.isEmpty ? remembered.filter { !taken.contains($0) } : configured
        // With more ids than drives, or fewer, which is which would be a guess.
        guard free.count == rest.count else { return ids }
        for (index, id) in zip(rest, free) { ids[index] = id }
        return ids
    }
}

/// Refuses paths that no drive may have, by where they lead.
private struct SetupPaths {
    let named: [FolderPlace]
    let configuration: Configuration

    func refuseUnsuitable() throws(ApplianceError) {
        let state = FolderPlace(configuration.state)
        for (position, place) in named.enumerated() {
            if let same = named[..<position].first(where: { $0.isSame(as: place) }) {
                throw refusal(
                    same.path == place.path
                        ? "The folder \(shown(place)) was named twice."
                        : "\(shown(same)) and \(shown(place)) are the same folder.")
            }
            let own = FolderPlace(place.path + "/holdfast")
            guard !place.isSame(as: state), !place.isInside(state), !own.isSame(as: state),
                !state.isInside(own)
            else {
                throw refusal(
                    "Drive \(shown(place)) and the state folder \(shown(state)) are in one place: "
                        + "keys and backups must lie apart.")
            }
        }
        try refuseNested()
    }

    private func refuseNested() throws(ApplianceError) {
        let enrolled = configuration.drives.map(\.path)
            .filter { StateFiles.exists($0 + "/holdfast/drive.json") }.map(FolderPlace.init)
        for place in named {
            let isEnrolled = enrolled.contains { $0.isSame(as: place) }
            let near = isEnrolled ? named : named + enrolled
            for other in near where !other.isSame(as: place) {
                for (inner, outer) in [(place, other), (other, place)] where nests(inner, outer) {
                    throw refusal(
                        "Drive \(shown(inner)) lies inside drive \(shown(outer)): one "
                            + "failure takes both.")
                }
            }
        }
    }

    /// Another filesystem mounted somewhere beneath is a drive of its own, but never where the
    /// outer drive keeps its files.
    private func nests(_ inner: FolderPlace, _ outer: FolderPlace) -> Bool {
        guard inner.isInside(outer) else { return false }
        let own = FolderPlace(outer.path + "/holdfast")
        return inner.isSame(as: own) || inner.isInside(own) || inner.sharesFilesystem(with: outer)
    }

    private func shown(_ place: FolderPlace) -> String { HostileText.escaped(place.path) }

    private func refusal(_ what: String) -> ApplianceError {
        ApplianceError(.usage, what, whatToDo: "Name folders or mounts that lie apart.")
    }
}
