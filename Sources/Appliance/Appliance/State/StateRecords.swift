package import BackupCore
import ControlAPI

/// What the box remembers of one owner, besides the secrets.
package struct OwnerRecord: Hashable, Sendable {
    package let id: OwnerID
    package var created: Timestamp
    /// When the recovery sheet was first printed; nil means the owner has no way back without
    /// this box.
    package var sheetShown: Timestamp?
    /// When the words of the printed sheet were last typed in and opened the backups; nil means
    /// nobody knows whether the sheet is right.
    package var sheetProved: Timestamp?

    /// An owner whose sheet was not shown yet.
    package init(
        id: OwnerID, created: Timestamp, sheetShown: Timestamp? = nil,
        sheetProved: Timestamp? = nil
    ) {
        self.id = id
        self.created = created
        self.sheetShown = sheetShown
        self.sheetProved = sheetProved
    }

    var json: JSONValue {
        .members([
            "created": .string(RFC3339.text(created)),
            "sheet_shown": .optional(sheetShown.map { RFC3339.text($0) }),
            "sheet_proved": .optional(sheetProved.map { RFC3339.text($0) }),
        ])
    }

    init?(id: OwnerID, json: JSONValue) {
        guard let created = json["created"]?.text.flatMap(RFC3339.time) else { return nil }
        self.id = id
        self.created = created
        sheetShown = json["sheet_shown"]?.text.flatMap(RFC3339.time)
        sheetProved = json["sheet_proved"]?.text.flatMap(RFC3339.time)
    }
}

/// What the box remembers of one phone. Its texts are the phone's own and hostile.
package struct PhoneRecord: Hashable, Sendable {
    package let id: PhoneID
    package var owner: OwnerID
    package var family: PhoneFamily
    package var name: String
    package var model: String
    package var osVersion: String
    package var lastSeen: Timestamp

    /// A phone with every field given.
    package init(
        id: PhoneID, owner: OwnerID, family: PhoneFamily, name: String, model: String,
        osVersion: String, lastSeen: Timestamp
    ) {
        self.id = id
        self.owner = owner
        self.family = family
        self.name = name
        self.model = model
        self.osVersion = osVersion
        self.lastSeen = lastSeen
    }

    var json: JSONValue {
        .members([
            "owner": .string(owner.rawValue), "family": .string(family.rawValue),
            "name": .string(name), "model": .string(model), "os_version": .string(osVersion),
            "last_seen": .string(RFC3339.text(lastSeen)),
        ])
    }

    init?(id: PhoneID, json: JSONValue) {
        guard let owner = json["owner"]?.text.flatMap(OwnerID.init(rawValue:)),
            let family = json["family"]?.text.flatMap(PhoneFamily.init(rawValue:)),
            let name = json["name"]?.text, let model = json["model"]?.text,
            let osVersion = json["os_version"]?.text,
            let lastSeen = json["last_seen"]?.text.flatMap(RFC3339.time)
        else { return nil }
        self.init(
            id: id, owner: owner, family: family, name: name, model: model,
            osVersion: osVersion, lastSeen: lastSeen)
    }
}
