import Foundation
import Testing

@testable import SimulatedPhones

/// usbmuxd's socket and what it keeps, spoken to by hand.
struct MuxTests {
    @Test func aListenerHearsOfEveryPlugAndPairing() throws {
        let run = try IPhoneRun()
        let client = try MuxProbe(run.mux)
        #expect(try client.ask(["MessageType": "Listen"])["Number"]?.integer == 0)
        let first = try client.next()
        #expect(first.list["MessageType"]?.text == "Attached")
        #expect(first.list["Properties"]?["SerialNumber"] == .string(run.phone.options.udid))
        run.phone.perform(.unplug)
        let second = try client.next()
        #expect(second.list["MessageType"]?.text == "Detached")
        #expect(second.list["DeviceID"] == first.list["DeviceID"])
        run.phone.perform(.replug)
        let third = try client.next()
        #expect(third.list["MessageType"]?.text == "Attached")
        #expect(third.list["DeviceID"] != first.list["DeviceID"])
        let other = try MuxProbe(run.mux)
        let saved = try other.ask([
            "MessageType": "SavePairRecord", "PairRecordID": "00008110-AA",
            "DeviceID": third.list["DeviceID"] ?? 0,
            "PairRecordData": .data(PropertyList.dictionary(["HostID": "x"]).encodeXML()),
        ])
        #expect(saved["Number"]?.integer == 0)
        let fourth = try client.next()
        #expect(fourth.list["MessageType"]?.text == "Paired")
        #expect(fourth.list["DeviceID"] == third.list["DeviceID"])
    }

    @Test func recordsAreKeptByNameUntilDeleted() throws {
        let run = try IPhoneRun()
        let client = try MuxProbe(run.mux)
        let record: PropertyList = ["HostID": "here", "EscrowBag": .data([1, 2])]
        let name: PropertyList = "00008110-000000000000002E"
        let read: PropertyList = ["MessageType": "ReadPairRecord", "PairRecordID": name]
        #expect(try client.ask(read)["Number"]?.integer == 2)
        _ = try client.ask([
            "MessageType": "SavePairRecord", "PairRecordID": name,
            "PairRecordData": .data(record.encodeBinary()),
        ])
        let data = try #require(try client.ask(read)["PairRecordData"]?.bytes)
        #expect(try PropertyList.decode(data) == record)
        let file = run.folder + "/run/lockdown/00008110-000000000000002E.plist"
        #expect(FileManager.default.fileExists(atPath: file))
        let delete: PropertyList = ["MessageType": "DeletePairRecord", "PairRecordID": name]
        #expect(try client.ask(delete)["Number"]?.integer == 0)
        #expect(try client.ask(delete)["Number"]?.integer == 2)
        let buid = try client.ask(["MessageType": "ReadBUID"])["BUID"]?.text
        #expect(buid?.count == 36)
        #expect(try client.ask(["MessageType": "ReadBUID"])["BUID"]?.text == buid)
    }

    @Test(arguments: ["../evil", "a/b", "", "..", "x\u{0}y"])
    func aRecordsNameCannotLeadOut(name: String) throws {
        let run = try IPhoneRun()
        let answer = try MuxProbe(run.mux).ask([
            "MessageType": "SavePairRecord", "PairRecordID": .string(name),
            "PairRecordData": .data(PropertyList.dictionary(["HostID": "x"]).encodeXML()),
        ])
        #expect(answer["Number"]?.integer != 0)
        let kept = try FileManager.default.contentsOfDirectory(atPath: run.folder + "/run/lockdown")
        #expect(kept.isEmpty)
    }

    @Test func connectionsGoToPhonesAndPortsThatAreThere() throws {
        let run = try IPhoneRun()
        let mux = run.mux
        func connect(device: Int64, port: UInt16) throws -> Int64? {
            try MuxProbe(mux).ask([
                "MessageType": "Connect", "DeviceID": .integer(device),
                "PortNumber": .number(port.byteSwapped),
            ])["Number"]?.integer
        }
        #expect(try connect(device: 1, port: 62078) == 0)
        #expect(try connect(device: 1, port: 62079) == 3)
        #expect(try connect(device: 2, port: 62078) == 2)
        run.phone.perform(.unplug)
        #expect(try connect(device: 1, port: 62078) == 2)
    }
}
