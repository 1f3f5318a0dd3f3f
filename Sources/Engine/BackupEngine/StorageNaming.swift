internal import BackupCore

/// What is remembered of a storage, so that it keeps its folder although names and numbers change.
struct StorageFacts: Equatable {
    /// The folder beneath the snapshot's root.
    var folder: EntryName
    /// As the phone names it.
    var name: EntryName
    var volumeIdentifier: String
    var type: UInt16
    var totalBytes: UInt64
}

/// A storage of this session under the folder it is saved in.
struct NamedStorage {
    let handle: UInt64
    let facts: StorageFacts
    var folder: EntryName { facts.folder }
}

/// Finds each storage's folder: the one it had in the parent, else a new one after its name.
///
/// A storage is recognised by its volume identifier, then by type and capacity, then by name.
/// Each way counts only where it points to one storage on both sides.
struct StorageNaming {
    let known: [StorageFacts]
    let names: NameMapping

    /// The storages in the order they are saved in: by handle, the phone's main storage first.
    func assign(_ storages: [PhoneStorage]) -> [NamedStorage] {
        let ordered = storages.sorted { $0.handle < $1.handle }
        var folders: [Int: EntryName] = [:]
        match(ordered, &folders) { now, before in
            !now.volumeIdentifier.isEmpty && now.volumeIdentifier == before.volumeIdentifier
                && now.name == before.name
        }
        match(ordered, &folders) { now, before in
            !now.volumeIdentifier.isEmpty && now.volumeIdentifier == before.volumeIdentifier
        }
        match(ordered, &folders) { now, before in
            now.totalBytes > 0 && now.type == before.type && now.totalBytes == before.totalBytes
                && now.name == before.name
        }
        match(ordered, &folders) { now, before in
            now.totalBytes > 0 && now.type == before.type && now.totalBytes == before.totalBytes
        }
        match(ordered, &folders) { now, before in now.name == before.name }
        nameTheRest(ordered, &folders)
        return ordered.enumerated().map { index, storage in
            NamedStorage(
                handle: storage.handle,
                facts: StorageFacts(
                    folder: folders[index] ?? "Storage", name: storage.name,
                    volumeIdentifier: storage.volumeIdentifier, type: storage.type,
                    totalBytes: storage.totalBytes))
        }
    }

    /// Whether all storages that were known before are there.
    func allAreThere(_ storages: [PhoneStorage]) -> Bool {
        let folders = Set(assign(storages).map(\.folder))
        return known.allSatisfy { folders.contains($0.folder) }
    }

    private func match(
        _ storages: [PhoneStorage], _ folders: inout [Int: EntryName],
        where isSame: (PhoneStorage, StorageFacts) -> Bool
    ) {
        let taken = Set(folders.values)
        let free = known.filter { !taken.contains($0.folder) }
        let open = storages.indices.filter { folders[$0] == nil }
        for index in open {
            let candidates = free.filter { isSame(storages[index], $0) }
            guard let only = candidates.first, candidates.count == 1 else { continue }
            guard open.filter({ isSame(storages[$0], only) }).count == 1 else { continue }
            folders[index] = only.folder
        }
    }

    private func nameTheRest(_ storages: [PhoneStorage], _ folders: inout [Int: EntryName]) {
        // Known folders stay reserved also while their storage is away: another card must not
        // come to stand in its place. Our own files at the root are reserved as well.
        let reserved = Set(known.map(\.folder)).union(SnapshotNotes.ownNames)
        let open = storages.indices.filter { folders[$0] == nil }
        let entries = open.map { index in
            PhoneEntry(
                storage: storages[index].handle, object: UInt64(index),
                name: storages[index].name.bytes.isEmpty ? "Storage" : storages[index].name,
                isFolder: true, byteCount: nil, modified: .zero)
        }
        for named in names.assign(entries, reserved: reserved) {
            folders[Int(named.entry.object)] = named.name
        }
    }
}
