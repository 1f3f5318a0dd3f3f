import Foundation
import Testing

@testable import SimulatedPhones

/// lockdownd as a stranger meets it, spoken to by hand.
struct LockdownTests {
    private static func ask(
        _ stream: PlainStream, _ request: String, _ entries: [String: PropertyList] = [:]
    ) throws -> PropertyList {
        let list = entries.merging(["Request": .string(request)]) { first, _ in first }
        try stream.writeMessage(.dictionary(list), asXML: true)
        return try stream.readMessage()
    }

    @Test func strangersAreRefusedByName() throws {
        let run = try IPhoneRun(.with { $0.trust = .ask })
        let stream = try MuxProbe(run.mux).connect(run.phone, port: LockdownConversation.port)
        #expect(try Self.ask(stream, "QueryType")["Type"]?.text == "com.apple.mobile.lockdown")
        let version = try Self.ask(stream, "GetValue", ["Key": "ProductVersion"])
        #expect(version["Value"]?.text == "17.6.1")
        for (request, entries, error) in [
            ("GetValue", ["Key": "SerialNumber"], "GetProhibited"),
            (
                "GetValue", ["Key": "WillEncrypt", "Domain": "com.apple.mobile.backup"],
                "GetProhibited"
            ),
            ("SetValue", ["Key": "DeviceName", "Value": "x"], "SessionInactive"),
            ("StartSession", [:], "MissingHostID"),
            ("StartSession", ["HostID": "x", "SystemBUID": "y"], "InvalidHostID"),
            ("StopSession", ["SessionID": "x"], "SessionInactive"),
            ("StartService", ["Service": "com.apple.afc"], "SessionInactive"),
            ("StartService", ["Service": "com.apple.nothing"], "InvalidService"),
            ("Pair", [:], "MissingPairRecord"),
            ("Pair", ["PairRecord": ["HostID": "x"]], "InvalidPairRecord"),
            ("ValidatePair", ["PairRecord": ["HostID": "x"]], "InvalidHostID"),
            ("Unpair", ["PairRecord": ["HostID": "x"]], "InvalidHostID"),
            ("Explode", [:], "InvalidRequest"),
        ] as [(String, [String: PropertyList], String)] {
            let answer = try Self.ask(stream, request, entries)
            #expect(answer["Error"]?.text == error, "\(request) \(entries)")
            #expect(answer["Request"]?.text == request)
        }
    }

    @Test func aRecordThatIsNotForThisPhoneIsRefused() throws {
        let run = try IPhoneRun()
        let stream = try MuxProbe(run.mux).connect(run.phone, port: LockdownConversation.port)
        let nonsense = PropertyList.data(Array("-----BEGIN CERTIFICATE-----".utf8))
        let answer = try Self.ask(
            stream, "Pair",
            [
                "PairRecord": [
                    "HostID": "x", "SystemBUID": "y", "DeviceCertificate": nonsense,
                    "HostCertificate": nonsense, "RootCertificate": nonsense,
                ]
            ])
        #expect(answer["Error"]?.text == "InvalidPairRecord")
        #expect(run.phone.counters.pairings == 0)
    }

    @Test func strangersMayObserveNotifications() throws {
        let run = try IPhoneRun(.with { $0.trust = .ask })
        let lockdown = try MuxProbe(run.mux).connect(run.phone, port: LockdownConversation.port)
        let name: PropertyList = "com.apple.mobile.insecure_notification_proxy"
        let started = try Self.ask(lockdown, "StartService", ["Service": name])
        #expect(started["EnableServiceSSL"] == nil)
        let port = try #require(started["Port"]?.unsigned.flatMap { UInt16(exactly: $0) })
        let proxy = try MuxProbe(run.mux).connect(run.phone, port: port)
        for command in ["ObserveNotification", "PostNotification"] {
            try proxy.writeMessage(["Command": .string(command), "Name": "org.example.a"])
        }
        let relayed: PropertyList = ["Command": "RelayNotification", "Name": "org.example.a"]
        #expect(try proxy.readMessage() == relayed)
        run.phone.perform(.post("org.example.b"))
        run.phone.perform(.post("org.example.a"))
        #expect(try proxy.readMessage() == relayed)
        try proxy.writeMessage(["Command": "Shutdown"])
        #expect(try proxy.readMessage()["Command"]?.text == "ProxyDeath")
        #expect(throws: StreamEnd.self) { try proxy.readMessage() }
        // A port is for one connection.
        let again = try MuxProbe(run.mux).ask([
            "MessageType": "Connect", "DeviceID": .number(run.phone.status.deviceID),
            "PortNumber": .number(port.byteSwapped),
        ])
        #expect(again["Number"]?.integer == 3)
    }

    @Test(arguments: ["lockdown.QueryType", "lockdown.GetValue", "lockdown.StartSession"])
    func theCableBreaksAtTheStageAsked(stage: String) throws {
        let run = try IPhoneRun()
        let phone = run.phone
        phone.perform(.unplugAt(stage))
        #expect(try run.run("ideviceinfo").exitCode != 0)
        #expect(!phone.status.plugged)
        phone.perform(.replug)
        #expect(try run.run("ideviceinfo").exitCode == 0)
    }

    @Test func aSilentServiceStaysConnectedUntilTheCableIsPulled() throws {
        let run = try IPhoneRun()
        let phone = run.phone
        phone.perform(.silence("lockdown", seconds: 3600))
        let program = try BackgroundProgram(
            "ideviceinfo", [], environment: run.mux.environment, outputIn: run.folder)
        try eventually { phone.counters.bytesReceived["lockdown", default: 0] > 0 }
        #expect(program.output == "")
        #expect(phone.counters.bytesSent["lockdown"] == nil)
        phone.perform(.unplug)
        #expect(program.wait() != 0)
    }
}
