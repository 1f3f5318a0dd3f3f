import BackupCore

/// An owner who was erased, or is being erased. The id is kept for good: a drive that was away
/// may bring the repository back at any time.
struct ErasedOwner: Hashable, Sendable {
    let id: OwnerID
    var time: Timestamp
    /// Whether it was asked for on this box. What only a drive's journal tells is not carried out
    /// by itself: a journal has no seal, and anybody who had the drive could have written it.
    var isConfirmed: Bool
    /// Drives that have nothing of the owner any more.
    var done: Set<DriveID> = []
}

extension StateStore {
    private func erasedPath(_ owner: OwnerID) -> String { "\(root)/erased/\(owner).json" }

    /// Whether an owner was erased: from then on nobody knows it.
    func isErased(_ owner: OwnerID) -> Bool { StateFiles.exists(erasedPath(owner)) }

    /// All erased owners, by id.
    func erasedOwners() throws(ApplianceError) -> [ErasedOwner] {
        var owners: [ErasedOwner] = []
        for name in try StateFiles.names(in: root + "/erased") where name.hasSuffix(".json") {
            guard let id = OwnerID(rawValue: String(name.dropLast(5))),
                let owner = try erasedOwner(id)
            else { continue }
            owners.append(owner)
        }
        return owners
    }

    /// One erased owner, or nil. Of a garbled record the name alone still says who it was.
    func erasedOwner(_ id: OwnerID) throws(ApplianceError) -> ErasedOwner? {
        guard let bytes = try StateFiles.read(erasedPath(id)) else { return nil }
        let json = try? JSONValue.read(bytes)  // as above
        return ErasedOwner(
            id: id, time: json?["time"]?.text.flatMap(RFC3339.time) ?? .zero,
            isConfirmed: json?["confirmed"] == .bool(true),
            done: Set(
                (json?["done"]?.elements ?? []).compactMap(\.text)
                    .compactMap(DriveID.init(rawValue:))))
    }

    /// Remembers an erased owner durably.
    func remember(_ owner: ErasedOwner) throws(ApplianceError) {
        try StateFiles.makeFolder(root + "/erased")
        let json: JSONValue = .members([
            "time": .string(RFC3339.text(owner.time)), "confirmed": .bool(owner.isConfirmed),
            "done": .array(owner.done.sorted().map { .string($0.rawValue) }),
        ])
        try StateFiles.write(Array((json.line + "\n").utf8), to: erasedPath(owner.id))
    }

    /// Overwrites and removes everything the state folder has of an owner: secrets, keys, config,
    /// locks, and what it knows of the phones. After an error a repetition does the rest.
    func destroy(_ owner: OwnerID) throws(ApplianceError) {
        try StateFiles.destroyFolder(folder(of: owner))
        for phone in try phones() where phone.owner == owner {
            try StateFiles.destroyFile("\(root)/phones/\(phone.id).json")
        }
    }
}
